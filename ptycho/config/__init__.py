"""Configuration records of the package."""
