"""One source at a time: opened, tried, cut, and run over a target."""
