"""The script of a call: what is said in the language of whoever is called, and what the analyst keeps to.

Whoever is called cannot know that the call is genuine, and is given no reason to believe it: nothing confidential is
said until they have called back on the number that stands in their contract, which a stranger cannot have changed.
"""

import tomllib
from dataclasses import dataclass
from importlib.resources import files

from notifications.delivery.call_task import CallReason

#: say or guidance -> language -> part -> words
_WORDS: dict[str, dict[str, dict[str, str]]] = tomllib.loads(
    (files(__package__) / "call_script.toml").read_text(encoding="utf-8")
)
_KEPT_TO = ("before", "number", "voicemail", "read_out")


@dataclass(frozen=True, slots=True)
class CallScript:
    """What is said to one contact."""

    language: str
    #: in the order in which it is said
    say: tuple[str, ...]
    #: left on a machine, and nothing else
    voicemail: str


def call_script(language: str, *, reason: CallReason, provider: str, ticket: str, contact: str) -> CallScript:
    """Return the script of a call for a reason; a language without words gets English. No fact of an incident."""
    language = language if language in _WORDS["say"] else "en"
    of_language = _WORDS["say"][language]

    def said(part: str) -> str:
        return of_language[part].format(provider=provider, ticket=ticket, contact=contact)

    parts = ("opening", "genuine", "waiting", reason.value, "ask", "addresses")
    return CallScript(language, tuple(said(part) for part in parts), said("voicemail"))


def call_guidance(language: str, tlp: str) -> tuple[str, ...]:
    """Return what the analyst keeps to, in the analyst's language, under a TLP label; the label is never translated.

    A label without words is kept to like TLP:RED.
    """
    of_language = _WORDS["guidance"].get(language, _WORDS["guidance"]["en"])
    return *(of_language[part] for part in _KEPT_TO), of_language.get(tlp, of_language["TLP:RED"])
