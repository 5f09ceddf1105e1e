"""XGBoost as a model of `bench`."""
