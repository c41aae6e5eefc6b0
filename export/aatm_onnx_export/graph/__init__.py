"""The graphs: decoder.py is the file to read first."""
