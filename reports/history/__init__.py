"""The history page: what asv measured across commits."""
