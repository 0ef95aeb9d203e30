"""Tracking in MLflow: the client, the uploader, queries, stores."""
