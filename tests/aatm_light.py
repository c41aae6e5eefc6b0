"""Import aatm's own mapper, selectors and registries where the services they can call are not installed.

aatm imports the clients of OpenAI, Google and ChromaDB, FastAPI and more at its top. Nothing in the light tests calls
them, so empty classes stand for what is missing; `make test-aatm` runs with all of them real.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

SERVICES = [
    "chromadb",
    "fastapi",
    "google.genai",
    "openai",
    "rich",
    "rich.console",
    "rich.logging",
    "rich.progress",
    "sentence_transformers",
]


class Absent(ModuleType):
    """A module whose every attribute is an empty class."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        kind = type(name, (), {"__init__": lambda self, *_, **__: None, "print": lambda self, *_: None})
        setattr(self, name, kind)
        return kind


@contextmanager
def light_aatm() -> Iterator[ModuleType]:
    """aatm.terminology_mapper; what stands in for missing services is gone again afterwards."""
    importlib.import_module("aatm.rerankers")  # and torch and transformers, which look for services themselves
    before = set(sys.modules)
    for name in SERVICES:
        try:
            importlib.import_module(name)
        except ImportError:
            sys.modules[name] = module = Absent(name)
            if "." in name:
                setattr(sys.modules[name.split(".")[0]], name.split(".")[1], module)
    if isinstance(progress := sys.modules["rich.progress"], Absent):
        progress.track = lambda items, **_: items  # type: ignore[attr-defined]
    try:
        yield importlib.import_module("aatm.terminology_mapper")
    finally:
        for name in set(sys.modules) - before:
            if name.split(".")[0] in {service.split(".")[0] for service in SERVICES}:
                del sys.modules[name]
