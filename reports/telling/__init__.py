"""A verdict in words: page, review, summary, tables, machine formats."""
