"""One run: train, resume, reproduce, diagnose, sync."""
