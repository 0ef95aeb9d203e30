"""What several packages need: durable writes, threads, redaction."""
