"""The package under test, and the scans that its users bring."""
