"""From a source list to a mapping file: terms are read, candidates proposed, and written for a reviewer's tools."""
