"""A run from its declaration to its last line, and what is made of its folder."""
