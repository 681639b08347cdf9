"""Training what a ranking promises."""
