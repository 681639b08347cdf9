"""Samples as a network wants them; no framework."""
