"""The plugin scaffold: a complete small distribution that installs and passes as it is."""
