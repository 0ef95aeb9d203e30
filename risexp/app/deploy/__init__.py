"""Use cases of a deployment: the folder that describes it, and what its services run."""
