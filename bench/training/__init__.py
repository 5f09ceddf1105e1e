"""Training: what every model that learns from stored cells shares, whatever it is made of."""
