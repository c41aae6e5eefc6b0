"""Queries with candidates from JSONL or CSV, and rankings back as JSONL, CSV or a table: one file a format."""

from .item import QueryCandidates, further_names

__all__ = ["QueryCandidates", "further_names"]
