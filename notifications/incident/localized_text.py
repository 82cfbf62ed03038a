"""Free text in one or more languages."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LocalizedText:
    """Free text in one or more of ``LANGUAGES``."""

    #: (language, text) pairs, sorted by language, at least one, no language twice
    texts: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, texts: Mapping[str, str]) -> "LocalizedText":
        """Build from a mapping of language to text."""
        return cls(tuple(sorted(texts.items())))

    def as_mapping(self) -> dict[str, str]:
        """Return a fresh mapping of language to text."""
        return dict(self.texts)

    def in_language(self, language: str) -> tuple[str, str]:
        """Return (language, text): in the wanted language, else in French, else in English, else the first text.

        The language is returned because a rendering marks text that is not in the reader's language.
        """
        mapping = dict(self.texts)
        for candidate in (language, "fr", "en"):
            if candidate in mapping:
                return candidate, mapping[candidate]
        return self.texts[0]
