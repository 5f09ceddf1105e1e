"""scVI and scANVI, on scvi-tools."""
