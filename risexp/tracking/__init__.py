"""Tracking: who listens to a run. What is recorded, shown, kept, and when it has to end."""
