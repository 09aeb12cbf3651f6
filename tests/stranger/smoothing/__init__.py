"""Running means of signals, over windows that end at each sample."""
