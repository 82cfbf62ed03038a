"""Overviews of incidents for lists and filters; the full-text index."""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_ID = sa.LargeBinary(length=16)
_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_WORD = re.compile(r"[^\W_]+")
_LETTERS = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"})
_ROWS_AT_ONCE = 500
_OF_FACTS = (
    "title", "summary", "measures_taken", "recommendations", "not_known_yet", "services", "regions",
    "availability_zones",
)  # fmt: skip
_OF_NOTICES = (
    "ticket", "title", "what_happened", "effect", "measures_taken", "recommendations", "not_known_yet", "personal_data",
)  # fmt: skip
#: (kind, statement): everything that can be found, as it is stored.
_FOUND = (
    (
        "incident",
        (
            "SELECT i.position, i.id, NULL, i.opened_at, i.ticket, i.state, f.facts"
            " FROM incidents i JOIN incident_facts f ON f.incident_id = i.id AND f.version = i.version"
            " WHERE i.position > :after ORDER BY i.position LIMIT :limit"
        ),
    ),
    (
        "customer",
        (
            "SELECT position, id, id, created_at, name, services, regions, availability_zones FROM customers"
            " WHERE position > :after ORDER BY position LIMIT :limit"
        ),
    ),
    (
        "contact",
        (
            "SELECT position, id, customer_id, created_at, name, email, role, active, phone FROM contacts"
            " WHERE position > :after ORDER BY position LIMIT :limit"
        ),
    ),
    (
        "notice",
        (
            "SELECT s.position, n.id, n.customer_id, n.created_at, n.sequence, n.kind, s.document FROM sealed_notices s"
            " JOIN notices n ON n.id = s.notice_id WHERE s.position > :after ORDER BY s.position LIMIT :limit"
        ),
    ),
)
_INSERT = sa.text(
    "INSERT INTO search_documents (kind, subject_id, customer_id, at, shown, terms)"
    " VALUES (:kind, :subject_id, :customer_id, :at, :shown, :terms)"
)


def upgrade() -> None:
    """Make the change. The service fills the overviews at its next start, because they need the agreements."""
    _create_overviews()
    _create_documents()
    for kind, statement in _FOUND:
        _index(kind, sa.text(statement))
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE search_index USING fts5(terms, content='', tokenize=\"ascii tokenchars '='\","
            " prefix='2 3 4 5 6 8', columnsize=0)"
        )
        op.execute(
            "INSERT INTO search_index (rowid, terms) SELECT ((CASE kind WHEN 'incident' THEN 1 WHEN 'effect' THEN 2"
            " WHEN 'customer' THEN 3 WHEN 'contact' THEN 4 WHEN 'notice' THEN 5 END) << 48) | position, terms"
            " FROM search_documents ORDER BY 1"
        )
    else:
        op.execute(
            "CREATE INDEX ix_search_documents_terms ON search_documents"
            " USING gin (array_to_tsvector(string_to_array(terms, ' ')))"
        )


def _create_overviews() -> None:
    op.create_table(
        "incident_overviews",
        sa.Column("incident_id", _ID, nullable=False),
        sa.Column("nature", sa.Text(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=True),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("to_notify", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pending", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pending_due_at", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("missing", sa.Text(), nullable=False),
        sa.Column("services", sa.Text(), nullable=False),
        sa.Column("regions", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name="fk_incident_overviews_incident_id"),
        sa.PrimaryKeyConstraint("incident_id", name="pk_incident_overviews"),
    )
    op.create_index(
        "ix_incident_overviews_pending",
        "incident_overviews",
        ["incident_id"],
        unique=False,
        sqlite_where=sa.text("pending > 0"),
        postgresql_where=sa.text("pending > 0"),
    )


def _create_documents() -> None:
    op.create_table(
        "search_documents",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_id", _ID, nullable=False),
        sa.Column("customer_id", _ID, nullable=True),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("shown", sa.Text(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_search_documents_customer_id"),
        sa.PrimaryKeyConstraint("position", name="pk_search_documents"),
    )
    op.create_index("ix_search_documents_subject_id_kind", "search_documents", ["subject_id", "kind"], unique=False)
    op.create_index(
        "ix_search_documents_customer_id_kind_position",
        "search_documents",
        ["customer_id", "kind", "position"],
        unique=False,
    )


# What follows is a copy of the code at this release: the code may change later, a migration may not.


def _index(kind: str, statement: sa.TextClause) -> None:
    connection, after = op.get_bind(), 0
    while rows := connection.execute(statement, {"after": after, "limit": _ROWS_AT_ONCE}).fetchall():
        after = rows[-1][0]
        documents = [document for row in rows for document in _documents(kind, tuple(row)[1:])]
        if documents:
            connection.execute(_INSERT, documents)


def _documents(kind: str, row: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
    subject_id, customer_id, at, *values = row
    if kind == "incident":
        ticket, state, stored = values
        facts = json.loads(stored)
        shown = {"ticket": ticket, "title": dict(facts["title"]["texts"])}
        texts = [ticket, *_strings([facts.get(name) for name in _OF_FACTS])]
        yield _document(kind, subject_id, None, at, shown | {"state": state}, texts)
        for stated in facts.get("affected_customers", ()):
            if said := _said(stated):
                yield _document("effect", subject_id, UUID(stated["customer_id"]).bytes, at, shown, said)
    elif kind == "customer":
        name, *lists = values
        texts = [name, *(text for items in lists for text in json.loads(items))]
        yield _document(kind, subject_id, customer_id, at, {"name": name}, texts)
    elif kind == "contact":
        name, email, role, active, phone = values
        shown = {"name": name, "email": email, "role": role, "active": bool(active)}
        yield _document(kind, subject_id, customer_id, at, shown, [name, email, phone or ""])
    else:
        sequence, notice_kind, document = values
        if sealed := _object(document):
            shown = {"ticket": sealed.get("ticket"), "title": sealed.get("title")}
            shown |= {"sequence": sequence, "kind": notice_kind}
            texts = list(_strings([sealed.get(name) for name in _OF_NOTICES]))
            yield _document(kind, subject_id, customer_id, at, shown, texts)


def _document(
    kind: str, subject_id: bytes, customer_id: bytes | None, at: int, shown: object, texts: Iterable[str]
) -> dict[str, Any]:
    terms = dict.fromkeys([f"=k{kind}"])
    for text in texts:
        decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
        plain = "".join(sign for sign in decomposed if not unicodedata.combining(sign)).translate(_LETTERS)
        for match in _WORD.finditer(plain):
            word = match[0][:40]
            terms[word if word.isascii() else f"={word.encode().hex()}"] = None
            if word[0] == "0" and (short := word.lstrip("0")).isdigit():
                terms[short] = None
    return {
        "kind": kind,
        "subject_id": subject_id,
        "customer_id": customer_id,
        "at": at,
        "shown": json.dumps(shown, ensure_ascii=False, separators=(",", ":")),
        "terms": " ".join(terms),
    }


def _said(stated: Any) -> list[str]:
    said = list(_strings([stated.get("effect"), (stated.get("personal_data") or {}).get("likely_consequences")]))
    return said + [resource.get(part) or "" for resource in stated.get("resources", ()) for part in ("id", "name")]


def _object(document: bytes) -> dict[str, Any]:
    try:
        value = json.loads(bytes(document))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict) and value.keys() == {"texts"}:
        yield from (said for _, said in value["texts"])
    elif isinstance(value, dict):
        for part in value.values():
            yield from _strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)
