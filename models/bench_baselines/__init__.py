"""Baselines: the simple models that every other has to beat."""
