"""The index over a results folder: made from its records, thrown away and made again at will."""
