"""The gallery of known-bad implementations, each of which the gate must reject for its own reason."""
