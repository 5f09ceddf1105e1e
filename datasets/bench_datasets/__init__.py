"""Datasets that ship inside scanpy, a generator, and a registry of public datasets with their loaders."""
