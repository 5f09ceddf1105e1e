"""CellTypist as a model of `bench`."""
