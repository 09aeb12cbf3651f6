"""What is shown of a run and of its verdict: rows of a table, plots."""
