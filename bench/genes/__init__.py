"""Which genes there are: their symbols, Ensembl ids, biotypes and positions, and what a model knows of them."""
