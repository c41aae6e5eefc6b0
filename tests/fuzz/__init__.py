"""Fuzzing of what comes from outside: mutated bundles and long texts. `make fuzz` runs it."""
