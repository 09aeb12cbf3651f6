"""The gate: figures from measurements, criteria from figures, one verdict."""
