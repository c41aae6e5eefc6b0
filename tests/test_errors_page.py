"""Every error that a user can meet is on the page of errors. The server's have a form of their own."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference" / "errors.md"
# `type(error)` raises an error again with more words.
CLASSES = {
    "BundleError", "ExportError", "ProviderError", "TooLongError", "ScoreError", "InputTypeError", "ValueError",
    "TypeError", "ImportError", "OSError", "FileNotFoundError", "type(error)",
}  # fmt: skip


def messages(source: str) -> Iterator[list[str]]:
    """The fixed words of every error's message, cut where something is filled in."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and ast.unparse(node.exc.func) in CLASSES:
            texts = [argument for argument in node.exc.args if isinstance(argument, ast.JoinedStr | ast.Constant)]
            texts = [text for text in texts if not (isinstance(text, ast.Constant) and not isinstance(text.value, str))]
            if texts:
                parts = texts[0].values if isinstance(texts[0], ast.JoinedStr) else [texts[0]]
                yield [str(part.value) for part in parts if isinstance(part, ast.Constant)]


def leading_words(parts: list[str]) -> str:
    """The first fixed words of a message that are three or more, else the longest; up to the end of a sentence."""
    words = [part.strip(" ('\"$:,;") for part in parts]
    return next((part for part in words if len(part.split()) >= 3), max(words, key=len))


def test_every_error_stands_on_the_page() -> None:
    page = re.sub(r"\s+", " ", PAGE.read_text("utf-8"))
    missing, found = [], 0
    for file in sorted([*(ROOT / "aatm_onnx").rglob("*.py"), *(ROOT / "export").rglob("*.py")]):
        if file.parent.name == "serve":
            continue
        for parts in messages(file.read_text("utf-8")):
            words = re.sub(r"\s+", " ", leading_words(parts))
            found += 1
            if words not in page:
                missing.append(f"{file.relative_to(ROOT)}: {words}")
    assert not missing, "\n".join(missing)
    assert found > 100  # else this test no longer sees what is raised


def test_the_words_of_a_message_are_found() -> None:
    source = """raise BundleError(f"{file} is missing now ({error}); copy it again") from None
raise ValueError("all of it")
raise OSError(5, f"can't be ({reason})", name)
raise IndexError("not for users")
"""
    assert [leading_words(parts) for parts in messages(source)] == ["is missing now", "all of it", "can't be"]
