"""Fine-tuning: a pretrained model learns to name cells, whatever it is made of."""
