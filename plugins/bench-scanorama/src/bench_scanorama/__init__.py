"""Scanorama as a model of `bench`."""
