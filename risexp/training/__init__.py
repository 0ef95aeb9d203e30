"""Training: a table of epochs, a gated step, a loop that yields events, and what resumes it."""
