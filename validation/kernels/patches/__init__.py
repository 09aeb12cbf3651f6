"""Cutting patches out of an object and putting them back: two kernels, all that is known of them."""
