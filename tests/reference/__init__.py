"""Slow, plain float64 definitions that every backend is compared with."""
