"""The subject's room: scan files of any package, read by what is in them."""
