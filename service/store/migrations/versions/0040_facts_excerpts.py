"""Lists read an excerpt of facts that name many customers: of the incidents that are stored, it is made here."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

_LISTED, _ASKED = 200, 20
_PROPERTIES = ("availability", "integrity", "confidentiality", "traceability")
#: Facts with more customers than that are longer: each has an identifier and four answers.
_SHORT = _LISTED * 100
_LONG = sa.text(
    "SELECT i.id, i.version FROM incidents i JOIN incident_facts f ON f.incident_id = i.id AND f.version = i.version"
    " WHERE i.subject = 'incident' AND length(f.facts) > :short ORDER BY i.position"
)
_FACTS = sa.text("SELECT facts FROM incident_facts WHERE incident_id = :id AND version = :version")
_INSERT = sa.text("INSERT INTO facts_excerpts (incident_id, customers, facts) VALUES (:id, :customers, :facts)")


def upgrade() -> None:
    """Make the change."""
    op.create_table(
        "facts_excerpts",
        sa.Column("incident_id", sa.LargeBinary(), nullable=False),
        sa.Column("customers", sa.BigInteger(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name="fk_facts_excerpts_incident_id"),
        sa.PrimaryKeyConstraint("incident_id", name="pk_facts_excerpts"),
    )
    connection = op.get_bind()
    for incident_id, version in connection.execute(_LONG, {"short": _SHORT}).fetchall():
        facts = json.loads(connection.execute(_FACTS, {"id": incident_id, "version": version}).scalar_one())
        customers = facts.get("affected_customers", ())
        if len(customers) > _LISTED:
            facts["affected_customers"] = _excerpt(customers)
            text = json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
            connection.execute(_INSERT, {"id": incident_id, "customers": len(customers), "facts": text})


# What follows is a copy of the code at this release: the code may change later, a migration may not.


def _excerpt(customers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept = customers[:_LISTED]
    seen: set[str] = set()
    asked = 0
    for stated in kept:
        seen |= _traits(stated)
        asked += _is_open(stated)
    for stated in customers[_LISTED:]:
        traits, is_open = _traits(stated), _is_open(stated)
        if traits <= seen and not (is_open and asked <= _ASKED):
            continue
        kept.append(stated)
        seen |= traits
        asked += is_open
    return kept


def _harm(stated: dict[str, Any]) -> dict[str, str]:
    harm = stated.get("data_harm", {})
    return {name: harm.get(name, "unknown") for name in _PROPERTIES}


def _is_open(stated: dict[str, Any]) -> bool:
    return "unknown" in _harm(stated).values()


def _traits(stated: dict[str, Any]) -> set[str]:
    harm = _harm(stated)
    traits = {f"{name}={answer}" for name, answer in harm.items() if answer != "no"}
    breached = stated.get("personal_data", {}).get("breach") in {"suspected", "confirmed"}
    if breached and all(answer == "no" for answer in harm.values()):
        traits.add("breach without harm")
    if stated.get("affected") == "no" and "yes" in harm.values():
        traits.add("harm untouched")
    return traits
