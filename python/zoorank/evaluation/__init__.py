"""How well scores pick, on targets whose truth is known."""
