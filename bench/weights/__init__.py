"""Weights: where they are, whether they are the published ones, and readers that run no code of strangers."""
