"""The results as a static page."""
