"""From a file as it was published to one that `bench run` takes at once: look at it, filter it, write it."""
