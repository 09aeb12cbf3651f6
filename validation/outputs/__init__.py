"""Outputs of implementations: kept, read, compared."""
