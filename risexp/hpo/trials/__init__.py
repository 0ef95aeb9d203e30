"""Trials: claims, leases, heartbeats, recovery and results."""
