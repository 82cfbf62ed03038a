"""One reader of one document: its messages, times, coded values and free texts in the reader's language."""

from collections.abc import Mapping, Sequence
from typing import Any

from notifications.wording.catalogues import SOURCE_LANGUAGE, translate
from notifications.wording.exercise import marked
from notifications.wording.formats import moment, number, on_one_line, set_in_french, visible
from notifications.wording.letter import Phrase, Quote
from notifications.wording.vocabulary import words

#: The vocabulary of a coded fact's values, by the last part of the fact's id.
_VALUE_KINDS = {
    "intent": "intent",
    "cause": "cause",
    "breach": "breach",
    "controller": "controller",
    "nature": "nature",
}
_ANSWERS = frozenset({
    "inside_perimeter", "security_measures_harmed", "normal_operation_disrupted", "service_level_breached",
    "damage_to_customer", "may_cause", "affected", "health_data",
})  # fmt: skip


class Reader:
    """Formats a document for one reader: texts in one language, times in its time zone (default: the customer's)."""

    def __init__(self, document: Mapping[str, Any], language: str, time_zone: str | None = None) -> None:
        self.document, self.language = document, language
        self._time_zone: str = time_zone or document["customer"]["time_zone"]

    @property
    def exercise(self) -> bool:
        """Whether the notice is of an exercise."""
        return self.document.get("exercise") is True

    def heading(self, text: str) -> str:
        """Return a heading or subject, behind the mark if the notice is of an exercise."""
        return marked(text, self.language) if self.exercise else text

    def say(self, message: str, **values: object) -> str:
        """Return a message of the catalogue with its values filled in. A literal percent sign is written twice."""
        return translate(message, self.language) % values

    def words(self, message_id: str) -> str:
        """Return the words for an identifier."""
        return words(message_id, self.language)

    def when(self, timestamp: str | None) -> str:
        """Return a time of the document as text; None gives "not known yet"."""
        if timestamp is None:
            return self.words("answer.unknown")
        return moment(timestamp, self.language, self._time_zone)

    def number(self, value: int) -> str:
        """Return a count with the digit groups of the language."""
        return number(value, self.language)

    def name(self, text: str) -> str:
        """Return a name or another short free text on one line."""
        return on_one_line(text)

    def names(self, texts: Sequence[str]) -> str:
        """Return a list of names as one text."""
        return ", ".join(map(on_one_line, texts))

    def contract(self, texts: Mapping[str, str]) -> str:
        """Return a text of the agreement, which has every language."""
        text = visible(self._chosen(texts)[1])
        return set_in_french(text) if self.language == "fr" else text

    def cited(self, text: str, role: str) -> str:
        """Return a text with the clause that the document cites for a role; unchanged if it cites none."""
        clause = self.document["agreement"].get("references", {}).get(role)
        return self.with_clause(text, clause)

    def with_clause(self, text: str, clause: str | None) -> str:
        """Return a text with a clause in brackets before its final full stop; unchanged without a clause."""
        if not clause:
            return text
        stop = "." if text.endswith(".") else ""
        return self.say("%(text)s (clause %(clause)s)", text=text.removesuffix("."), clause=on_one_line(clause)) + stop

    def phrase(self, texts: Mapping[str, str]) -> Phrase:
        """Return a short free text on one line, marked where it is not in the reader's language."""
        language, text = self._chosen(texts)
        return Phrase(on_one_line(text), *self._marked(language))

    def phrases(self, items: Sequence[str | Mapping[str, str]]) -> Phrase:
        """Return names and short free texts as one text, marked where they are not in the reader's language.

        Names have no language. If only some texts are in another language, each of these has its own mark.
        """
        chosen = [(None, item) if isinstance(item, str) else self._chosen(item) for item in items]
        languages = {language for language, _ in chosen}
        if len(languages) == 1:
            return Phrase(", ".join(on_one_line(text) for _, text in chosen), *self._marked(*languages))
        notes = [self._marked(language)[1] for language, _ in chosen]
        return Phrase(
            ", ".join(
                on_one_line(text) if note is None else f"{on_one_line(text)} [{note}]"
                for (_, text), note in zip(chosen, notes, strict=True)
            )
        )

    def quote(self, texts: Mapping[str, str]) -> Quote:
        """Return a free text, marked where it is not in the reader's language."""
        language, text = self._chosen(texts)
        lines = tuple(line.replace("\t", "    ").rstrip() for line in visible(text).strip("\n").split("\n"))
        return Quote(lines, *self._marked(language))

    def value(self, fact: str, value: Any) -> str:
        """Return the value of a coded fact in words."""
        name = fact.rpartition(".")[2]
        if value is None:
            return self.words("answer.unknown")
        if isinstance(value, int):
            return self.number(value)
        if not isinstance(value, str):
            return self._in_a_cell(self.phrases(value)) if value else self.say("none")
        if name.endswith("_at"):
            return self.when(value)
        if name in _VALUE_KINDS:
            return self.words(f"{_VALUE_KINDS[name]}.{value}")
        if name in _ANSWERS or "harm." in fact:
            return self.words(f"answer.{value}")
        return on_one_line(value)

    def _chosen(self, texts: Mapping[str, str]) -> tuple[str, str]:
        """Return (language, text): in the reader's language, else French, else English, else the first text."""
        for language in (self.language, "fr", SOURCE_LANGUAGE):
            if language in texts:
                return language, texts[language]
        return min(texts.items())

    @staticmethod
    def _in_a_cell(phrase: Phrase) -> str:
        return phrase.text if phrase.language_note is None else f"{phrase.text} [{phrase.language_note}]"

    def _marked(self, language: str | None) -> tuple[str | None, str | None]:
        if language is None or language == self.language:
            return None, None
        return language, self.say("text in %(language)s", language=self.words(f"language.{language}"))
