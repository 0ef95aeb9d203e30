"""The textbook part: panel, steering, channel, codes, signals, bounds; no configuration."""
