"""Pages for a browser: MLflow and optuna-dashboard, behind one guard."""
