"""`risexp predict` and `risexp serve`: trained networks in use."""
