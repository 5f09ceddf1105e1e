"""What is wrong with a dataset, with a model on it, or with this installation: findings, each with what mends it."""
