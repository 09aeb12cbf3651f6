"""Measuring one item of a plan, from the process that is started to the line that is written."""
