"""MLflow's models, imported without what MLflow warns of about its own code."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from mlflow.models import Model, ModelSignature
    from mlflow.pyfunc import PyFuncModel, add_to_model, load_model
    from mlflow.pyfunc.loaders import code_model
    from mlflow.pyfunc.model import PythonModel, PythonModelContext
    from mlflow.pyfunc.scoring_server import init as scoring_app

LOADER = code_model.__name__
"""The module by which MLflow loads a model that is code."""

__all__ = [
    "LOADER",
    "Model",
    "ModelSignature",
    "PyFuncModel",
    "PythonModel",
    "PythonModelContext",
    "add_to_model",
    "load_model",
    "scoring_app",
]
