"""What a run is going to do: sweeps, and one item for each line."""
