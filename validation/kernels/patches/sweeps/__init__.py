"""The cases of both kernels in the built-in sweeps."""
