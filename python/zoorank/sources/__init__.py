"""What encodes: references, manifests, trust, and one file a kind."""
