"""Copied into each model's folder; MLflow runs it to load the model."""

from mlflow.models import set_model

from risexp.registry.served import Served

set_model(Served())
