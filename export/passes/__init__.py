"""Graph rewrites that every exported graph goes through."""
