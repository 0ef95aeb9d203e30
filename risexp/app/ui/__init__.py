"""`risexp ui`: both pages under one command."""
