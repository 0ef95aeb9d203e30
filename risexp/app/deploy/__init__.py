"""Use cases of a deployment: its folder, and the commands of its services."""
