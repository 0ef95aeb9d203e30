"""Use cases: from a configuration to objects to a result; the only place that knows every room."""
