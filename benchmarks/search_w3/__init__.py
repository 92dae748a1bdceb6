"""The search for W3's shape: accuracy and latency together (docs/w3_search.md)."""
