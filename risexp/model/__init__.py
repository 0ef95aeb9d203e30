"""The network: fronts that encode a scene, heads that predict, one typed answer."""
