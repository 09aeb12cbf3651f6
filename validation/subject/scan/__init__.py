"""Scan files of any package, read by what is in them."""
