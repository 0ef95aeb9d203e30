"""What is shipped: networks as files that need no pickle, and as models of MLflow."""
