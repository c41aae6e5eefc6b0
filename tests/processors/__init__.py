"""The same bundles on other processors, which qemu plays: `make test-arm`, `make test-x86`."""
