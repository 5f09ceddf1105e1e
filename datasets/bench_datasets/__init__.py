"""Datasets that need no download: real cells that ship inside scanpy, and a generator."""
