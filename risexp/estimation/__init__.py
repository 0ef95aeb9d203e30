"""Sources from measurements: grids, likelihoods, greedy search, ranges, and rules for the count."""
