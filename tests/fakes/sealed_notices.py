"""Sealed notices with real keys, timestamps and log proofs, made without the service."""

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from notifications.agreement import bundled_agreements
from notifications.audit.checkpoint import Checkpoint, sign_checkpoint
from notifications.audit.entry import AuditEntry, Opening, leaf_bytes, pseudonym
from notifications.audit.merkle import append_leaves, inclusion_proof, leaf_hash
from notifications.audit.proof import format_notice_extra, format_proof
from notifications.canonical_json import canonicalize
from notifications.classification import classify
from notifications.customer import Customer
from notifications.decision import decide
from notifications.incident import (
    AffectedCustomer,
    Answer,
    Harm,
    Incident,
    IncidentFacts,
    IncidentState,
    LocalizedText,
    Resource,
    ResourceKind,
)
from notifications.mail import Envelope, assemble_notice_mail
from notifications.notice import Notice, NoticeKind, NoticeState, Provider, compose_notice
from notifications.seal import SealedNotice, SealedRendering
from notifications.verification import NoticeFiles, parse_trust
from service.sealing.cms_signer import CmsSigner
from service.sealing.demo_keys import KeyFiles, create_demo_keys
from service.sealing.key_files import load_log_key
from service.sealing.timestamping import EmbeddedTimestampAuthority

ADDRESS = "soc@provider.example"
ORIGIN = "provider.example/greffier"
_AGREEMENT = bundled_agreements()["secnumcloud_iaas_3_0"]
_SALT = bytes(range(32))
_NAMES = UUID("a8b5f0a2-6a08-4d52-8f6a-1d4a64a0c001")


@dataclass
class SetClock:
    """A clock that stands where it was set."""

    at: datetime

    def now(self):
        return self.at


class Notary:
    """A provider's seal: demo keys in a folder, a signer, a timestamp authority, and a log of a few entries.

    ``at`` is when the keys were made and, until ``clock`` is set, when everything happens.
    """

    def __init__(self, folder, *, at=None, address=ADDRESS, origin=ORIGIN):
        self.clock = SetClock(at or datetime.now(UTC).replace(microsecond=0))
        self.folder, self.address, self.origin = folder, address, origin
        self.files = KeyFiles(folder / "keys", folder / "trust")
        create_demo_keys(
            self.files, address=address, provider_name="Provider", log_origin=origin, now=self.clock.at, passphrase=None
        )
        self.signer = CmsSigner(self.files.signing_key, self.files.signing_chain, None, self.clock)
        self.authority = EmbeddedTimestampAuthority(self.files.timestamp_key, self.files.timestamp_chain, None)
        self.log_key = load_log_key(self.files.log_key, None)
        self.trust = parse_trust(*(self.trusted(name) for name in ("ca.pem", "tsa.pem")), self.trusted_log_key())

    def trusted(self, name):
        return (self.files.trust / name).read_bytes()

    def trusted_log_key(self):
        return self.trusted("log.vkey").decode()

    def timestamp(self, content):
        """Return a token that says the clock's time."""
        self.authority._stamper.fixed_dt = self.clock.at
        return self.authority._timestamp(content)

    def seal(self, composed, *, timestamped=True, sign=None, document=None, leaf_changes=None, parts=None):
        """Return the sealed notice. ``document`` (bytes), ``leaf_changes`` and ``parts`` (of the leaf) replace ours."""
        document = composed.document if document is None else document
        signature = (sign or self.signer.sign_detached)(document)
        token = self.timestamp(signature) if timestamped else None
        committed = {"document": document, "signature": signature} | ({"timestamp": token} if token else {})
        return SealedNotice(
            notice_id=composed_notice().id,
            document=document,
            signature=signature,
            timestamp=token,
            timestamp_independent=False,
            resources_csv=composed.resources_csv,
            sealed_at=self.clock.at,
            log_proof=self.proof(committed if parts is None else parts, leaf_changes or {}),
            renderings=tuple(
                SealedRendering(language, words.subject, words.text, words.html)
                for language, words in sorted(composed.rendered.items())
            ),
        )

    def proof(self, parts, leaf_changes, *, before=3, after=2, index=None):
        """Put the notice's entry between others into a log and return its proof, or the path of ``index``."""
        entry = replace(self.entry(parts), **leaf_changes)
        leaf = leaf_bytes(entry)
        leaves = [self._other_leaf(n) for n in range(before)] + [leaf]
        leaves += [self._other_leaf(before + 1 + n) for n in range(after)]
        growth = append_leaves(0, lambda _wanted: [], [leaf_hash(each) for each in leaves])
        nodes = {(level, position): hashed for level, position, hashed in growth.nodes}
        note = sign_checkpoint(self.log_key, Checkpoint(self.origin, len(leaves), growth.root))
        position = before if index is None else index
        hashes = inclusion_proof(position, len(leaves), lambda wanted: [nodes[each] for each in wanted])
        salts = {opening.name: opening.salt for opening in entry.openings}
        return format_proof(position, hashes, note, format_notice_extra(leaf, salts))

    def entry(self, parts):
        notice = composed_notice()
        return AuditEntry(
            id=uuid5(_NAMES, "sealed"),
            type="notice.sealed",
            at=self.clock.at,
            actor="system:worker",
            subjects={
                "incident": str(notice.incident_id),
                "customer": pseudonym(_SALT, notice.customer_id),
                "notice": str(notice.id),
            },
            detail={
                "ticket": "INC-2026-000042",
                "sequence": notice.sequence,
                "kind": notice.kind.value,
                "facts_version": notice.facts_version,
                "timestamped": "timestamp" in parts,
            },
            openings=tuple(
                Opening(name, hashlib.sha256(name.encode()).digest(), hashlib.sha256(part).digest())
                for name, part in parts.items()
            ),
        )

    def _other_leaf(self, number):
        return leaf_bytes(
            AuditEntry(
                uuid5(_NAMES, str(number)), "incident.declared", self.clock.at, "token:interim", {"incident": "other"}
            )
        )

    def mail(self, sealed, language="fr", sign=None, **envelope):
        """Return the notice as the mail of one contact."""
        return assemble_notice_mail(
            sealed=sealed,
            language=language,
            envelope=self.envelope(**envelope),
            sign=sign or self.signer.sign_detached,
        )

    def envelope(self, **changes):
        return replace(
            Envelope(
                sender=self.address,
                sender_name="Provider, équipe sécurité",
                recipient="rssi@customer.example",
                recipient_name="Zoé Müller",
                date=self.clock.at,
                message_id="<n1.c1@provider.example>",
            ),
            **changes,
        )


def composed_notice(sequence=1):
    """Return the record of the notice that ``compose`` puts into words."""
    at = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    return Notice(
        id=UUID(int=76 + sequence),
        incident_id=UUID(int=9),
        customer_id=UUID(int=1),
        sequence=sequence,
        kind=NoticeKind.INITIAL if sequence == 1 else NoticeKind.UPDATE,
        state=NoticeState.RELEASED,
        facts_version=sequence,
        due_at=at + timedelta(hours=48),
        due_kind="contractual",
        created_at=at,
        created_by="analyst:1",
    )


def compose(title="Accès non autorisé", languages=("de", "en", "fr"), resources=0):
    """Return a composed notice about stolen data of one customer; with many ``resources`` it has a table."""
    notice = composed_notice()
    at = notice.created_at
    customer = Customer(notice.customer_id, "Hôpital Saint-Roch", "fr", "Europe/Paris", (), (), (), at)
    listed = tuple(Resource(ResourceKind.OBJECT, f"archive-{number:04}") for number in range(resources))
    harm = Harm(Answer.NO, Answer.NO, Answer.YES, Answer.NO)
    facts = IncidentFacts(
        title=LocalizedText.of({"fr": title, "en": "Unauthorised access", "de": "Unbefugter Zugriff"}),
        summary=LocalizedText.of(
            {
                "fr": "From the first line:\nune session volée a servi.\nFrom here on, rien.\n.\n.. é",
                "en": "From the logs: a stolen session was used.",
            }
        ),
        aware_at=at,
        inside_perimeter=Answer.YES,
        impact="I1",
        criticality="C1",
        affected_customers=(AffectedCustomer(customer.id, Answer.YES, harm, resources=listed),),
    )
    classification = classify(facts, _AGREEMENT)
    return compose_notice(
        notice=notice,
        incident=Incident(
            notice.incident_id, "INC-2026-000042", IncidentState.OPEN, 1, facts, at, at, notice.created_by
        ),
        facts=facts,
        previous_facts=None,
        classification=classification,
        decision=decide(facts, classification, _AGREEMENT, customer, None),
        customer=customer,
        agreement=_AGREEMENT,
        provider=Provider("Provider", "SOC", ADDRESS),
        issued_at=at + timedelta(minutes=25),
        supersedes=None,
        timestamp_independent=False,
        languages=languages,
    )


def small_document(**changes):
    """Return the least document that the verifier reads, canonical, without words: short, for tests of every byte."""
    notice = composed_notice()
    return canonicalize(
        {
            "schema": "greffier.notice/1",
            "notice_id": str(notice.id),
            "incident_id": str(notice.incident_id),
            "ticket": "INC-2026-000042",
            "sequence": notice.sequence,
            "kind": notice.kind.value,
            "facts_version": notice.facts_version,
            "tlp": "TLP:AMBER",
            "effect": {"resources_csv_sha256": None},
            "renderings": [],
        }
        | changes
    )


def files_of(sealed):
    """Return a sealed notice as the files that the API serves."""
    return NoticeFiles(
        document=sealed.document,
        signature=sealed.signature,
        timestamp=sealed.timestamp,
        proof=sealed.log_proof,
        resources_csv=sealed.resources_csv,
    )
