"""Plots of a run and of its verdict."""
