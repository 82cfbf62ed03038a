"""The texts of a bundle in the reader's language: the README, and the report with all entries."""

import html
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from string import Template

from notifications.audit.entry import Leaf
from notifications.canonical_json import timestamp_text
from notifications.errors import Fault, InvalidInputError
from notifications.evidence.bundle.contents import Header, entry_folder

LANGUAGES = ("fr", "en", "de")

_WORDS: Mapping[str, Mapping[str, str]] = tomllib.loads(
    resources.files(__package__).joinpath("reader_words.toml").read_text("utf-8")
)
_STYLE = (
    "body{font:11pt/1.4 sans-serif;margin:2em auto;max-width:70em;padding:0 1em}"
    "table{border-collapse:collapse;width:100%}th,td{border:1px solid #999;padding:.3em .5em;text-align:left;"
    "vertical-align:top}th{background:#eee}tr{break-inside:avoid}dl{margin:0;display:grid;"
    "grid-template-columns:max-content 1fr;gap:0 .6em}dd{margin:0;overflow-wrap:anywhere}"
    "thead{display:table-header-group}h2,h3{break-after:avoid}"
    "@media print{body{margin:0;max-width:none;font-size:9pt}a{color:inherit}}"
)


def readme(header: Header, *, revocations: bool) -> bytes:
    """Return ``README.txt``; raises InvalidInputError for an unknown language."""
    words = words_of(header.language)
    text = resources.files(__package__).joinpath(f"readme.{header.language}.txt").read_text("utf-8")
    filled = Template(text).substitute(
        scope="\n".join(_scope_lines(header)),
        origin=header.origin,
        tree_size=header.tree_size,
        entries=header.entries,
        revocation=words["revoked_listed" if revocations else "revoked_unlisted"],
    )
    return filled.encode()


def report_begin(header: Header) -> bytes:
    """Return the beginning of the report. ``report_section``, ``report_entries``, rows and ``report_end`` follow."""
    words = words_of(header.language)
    counted = Template(words["counted"]).substitute(
        entries=header.entries, tree_size=header.tree_size, origin=header.origin
    )
    lines = "".join(f"<p>{html.escape(line)}</p>\n" for line in (*_scope_lines(header), counted))
    title = html.escape(words["title"])
    return (
        f'<!DOCTYPE html>\n<html lang="{header.language}">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{lines}"
    ).encode()


def report_entries(header: Header) -> bytes:
    """Return the beginning of the table of entries. One ``report_row`` for each entry follows."""
    words = words_of(header.language)
    heads = "".join(f"<th>{html.escape(words[name])}</th>" for name in ("index", "at", "what", "facts", "parts"))
    title = html.escape(words["entries"])
    return f"<h2>{title}</h2>\n<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n".encode()


def report_row(header: Header, index: int, leaf: Leaf, parts: Iterable[str]) -> bytes:
    """Return the row of an entry. ``parts`` are the names in its folder, the proof first."""
    words, folder = words_of(header.language), entry_folder(index)
    facts = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(_shown(value))}</dd>"
        for name, value in leaf.detail.items()
        if value is not None
    )
    proof, *others = parts
    links = [f'<a href="{folder}{proof}">{html.escape(words["proof"])}</a>']
    links += [f'<a href="{folder}{name}">{html.escape(name)}</a>' for name in others]
    return (
        f'<tr id="e{index}"><td>{index}</td><td>{timestamp_text(leaf.at)}</td><td>{html.escape(leaf.type)}<br>'
        f"{html.escape(leaf.actor)}</td><td><dl>{facts}</dl></td><td>{'<br>'.join(links)}</td></tr>\n"
    ).encode()


def report_end() -> bytes:
    """Return the end of the report."""
    return b"</tbody>\n</table>\n</body>\n</html>\n"


def words_of(language: str) -> Mapping[str, str]:
    """Return the texts of a language by their keys; raises InvalidInputError for an unknown language."""
    if language not in LANGUAGES:
        raise InvalidInputError(Fault("language", f"must be one of {', '.join(LANGUAGES)}"))
    return _WORDS[language]


def _scope_lines(header: Header) -> list[str]:
    scope, words = header.scope, words_of(header.language)
    stated = {
        "incident": scope.incident,
        "announcement": scope.announcement,
        "notice": scope.notice,
        "customer": scope.customer,
        "starts_at": None if scope.starts_at is None else timestamp_text(scope.starts_at),
        "ends_at": None if scope.ends_at is None else timestamp_text(scope.ends_at),
    }
    return [Template(words[name]).substitute(value=value) for name, value in stated.items() if value is not None]


def _shown(value: str | int | bool | list[str] | None) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)
