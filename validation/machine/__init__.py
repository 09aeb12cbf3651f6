"""The machine: how much of it there is, and what a process may do to it."""
