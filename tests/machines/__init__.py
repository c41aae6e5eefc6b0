"""Small and strict machines: one core, little memory, nothing to write to, no home: `make test-machines`."""
