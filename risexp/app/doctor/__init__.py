"""The check-up of environment, stores and studies."""
