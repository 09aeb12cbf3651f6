"""Properties that hold for every kernel: what a call owes to its caller, whatever it computes."""
