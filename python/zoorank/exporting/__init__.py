"""The winner, cut, for use elsewhere."""
