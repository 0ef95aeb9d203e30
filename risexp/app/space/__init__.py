"""`risexp space`: check, probe and shrink search spaces."""
