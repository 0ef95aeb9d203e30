"""Probes: objects in, a report with verdict, evidence and advice out."""
