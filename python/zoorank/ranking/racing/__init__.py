"""Races: which sources are worth running on all rows; and what is said of one, or of a budget."""
