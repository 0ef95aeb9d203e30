"""The factored covariance, the one effective covariance, its sampled part, and order criteria."""
