"""Harmony as a model of `bench`."""
