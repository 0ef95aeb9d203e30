"""`risexp promote`, `rollback` and `models`: from a run to a registered model."""
