"""The sweep that measures kernels and their candidates, each case in a process of its own."""
