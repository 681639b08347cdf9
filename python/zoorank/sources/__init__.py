"""What encodes: references, manifests, trust, and one file or folder a kind."""
