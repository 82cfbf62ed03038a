"""Documents use plain words; docstrings and comments use the words of ``docs/words.toml`` less and less."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORDS = tomllib.loads((ROOT / "docs" / "words.toml").read_text(encoding="utf-8"))["words"]
#: ``docs/settings.md`` is generated from the code; its words are counted there.
DOCUMENTS = sorted(
    {*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")} - {ROOT / "CHANGELOG.md", ROOT / "docs" / "settings.md"}
)
_CODE = re.compile(r"^```.*?^```|^    .*?$|`[^`]+`|\]\([^)]*\)", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"(?:^|  )\s*#:? (.*)$", re.MULTILINE)


def uses(word, text):
    return re.findall(rf"\b(?:{word})\b", text, re.IGNORECASE)


@cache
def prose_of_code():
    """Return what docstrings and comments of the program say, as one text."""
    texts = []
    for path in sorted(path for package in ("service", "notifications") for path in (ROOT / package).rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        texts += _COMMENT.findall(source)
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                texts.append(ast.get_docstring(node) or "")
    return "\n".join(re.sub(r"\s+", " ", re.sub(r"``.*?``", "", text, flags=re.DOTALL)) for text in texts)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_uses_plain_words(document):
    # A code span becomes a word of its own, so that what is left still reads as a sentence.
    prose = re.sub(r"\s+", " ", _CODE.sub(" CODE ", document.read_text(encoding="utf-8")))
    found = {use: entry["say"] for entry in WORDS for use in uses(entry["word"], prose)}
    assert found == {}, "say instead"


@pytest.mark.parametrize("entry", WORDS, ids=lambda entry: entry["say"][:20])
def test_docstrings_and_comments_use_it_less_and_less(entry):
    count = len(uses(entry["word"], prose_of_code()))
    assert count <= entry["in_code"], f"say instead: {entry['say']}"


def test_every_word_is_found_where_it_is():
    # The list would be worthless if an expression never matched; a name in code is no use of a word.
    samples = {
        "Whoever asks is told.": 2,
        "It stands alone.": 2,
        "What came back half way": 2,
        "let alone that": 0,
        "`told`": 0,
        "understand": 0,
    }
    for text, expected in samples.items():
        prose = _CODE.sub("", text)
        assert sum(len(uses(entry["word"], prose)) for entry in WORDS) == expected, text
