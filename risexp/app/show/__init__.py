"""`risexp show run` and `risexp show spectrum`."""
