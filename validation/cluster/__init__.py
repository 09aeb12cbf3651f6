"""A run whose items are done by the workers of a Dask cluster."""
