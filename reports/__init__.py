"""Reads a run folder, judges it by METHOD's rules, and draws it. Imports neither validation nor ptycho."""
