"""`risexp data` and `risexp show scene`: frozen sets."""
