"""A masked autoencoder of a fixed panel of genes: what a pretrained transformer is to be better than."""
