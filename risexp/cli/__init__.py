"""Words in, one call, words out; nothing is computed here, and nothing heavy is imported early."""
