"""The database of studies: Optuna's storage with retries, and the lease tables."""
