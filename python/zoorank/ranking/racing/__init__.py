"""Races: which sources are worth running on all rows, found on samples of them."""
