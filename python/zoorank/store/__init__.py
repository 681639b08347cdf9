"""Encodings by content, and the ledger of results."""
