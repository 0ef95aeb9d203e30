"""`risexp hpo` and what follows a search: supervisor, workers, trials, derived studies."""
