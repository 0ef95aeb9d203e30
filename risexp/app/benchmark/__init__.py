"""`risexp bench` and `risexp eval`: methods compared on the same scenes."""
