"""The mark of an exercise. It is on everything that an exercise sends or shows, in the language of its reader."""

_MARKS = {"fr": "EXERCICE", "en": "EXERCISE", "de": "ÜBUNG"}


def exercise_mark(language: str) -> str:
    """Return the mark in a language; in English for a language without a text."""
    return _MARKS.get(language, _MARKS["en"])


def marked(text: str, language: str) -> str:
    """Return a line, heading or subject behind the mark."""
    return f"{exercise_mark(language)} — {text}"
