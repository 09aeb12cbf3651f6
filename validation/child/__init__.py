"""Processes that run implementations: the server that starts them, what they do, and their instruments."""
