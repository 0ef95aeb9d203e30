"""Shared by all rooms: durable writes, sealed files, locks, signals, threads, redaction."""
