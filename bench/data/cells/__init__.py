"""Cells for training: a memory-mapped store, made once of AnnData files, and what feeds a model from it."""
