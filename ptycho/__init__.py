"""Ptychography data preparation: patch extraction, grouping of scan positions and reassembly."""

__version__ = "0.1.0"
