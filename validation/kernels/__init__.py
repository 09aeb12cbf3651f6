"""What is judged: a folder for each field, and the registry that finds what is in them."""
