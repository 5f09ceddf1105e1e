"""`ours`: a transformer of single cells, everything the field argues about a switch."""
