"""`risexp compare`: runs side by side."""
