"""The network: fronts that look at a scene, heads that say what is there, one typed answer."""
