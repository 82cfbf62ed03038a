"""A small bundle for tests: three entries under one checkpoint. A test can make every part wrong on purpose."""

import hashlib
import io
from dataclasses import replace
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from notifications.audit.checkpoint import Checkpoint, sign_checkpoint
from notifications.audit.entry import Opening, leaf_bytes
from notifications.audit.merkle import append_leaves, consistency_proof, inclusion_proof, leaf_hash
from notifications.audit.note import sign_note
from notifications.audit.proof import (
    format_consistency,
    format_notice_extra,
    format_proof,
    parse_notice_extra,
    parse_proof,
)
from notifications.crypto.timestamps import certificates_of_token
from notifications.evidence.bundle.archive import ArchiveWriter
from notifications.evidence.bundle.contents import (
    PROVIDER,
    SUMS,
    SUMS_NOTE,
    Header,
    Scope,
    checksum_line,
    entry_folder,
    format_header,
    note_text,
)
from notifications.evidence.bundle.signers import certificates_of_signature, signer_part
from notifications.evidence.bundle.texts import readme
from service.crypto.key_files import load_log_key
from support.sealed_sample import ORIGIN

INCIDENT = UUID(int=9)
PAYLOAD = b'{"facts":"d\xc3\xa9bit"}'
FIRST, SEALED, ATTEMPTED, STAMPED, PLACED = (entry_folder(index) for index in (2, 5, 6, 7, 8))


class Sample:
    """The parts of a genuine bundle by name, and methods that make archives of them."""

    def __init__(self, office, *, mail=None, signature=None, placed=None, shared=False):
        """Each argument replaces the genuine part: a provider may forge its own bundle.

        ``shared``: the timestamp of the notice is over a checkpoint, and none came later.
        """
        self.office = office
        self.key = load_log_key(office.files.log_key, None)
        #: its proof is under a checkpoint of another tree that the log's key signed too
        self.sealed = sealed = office.seal(shared=shared)
        extra = parse_notice_extra(parse_proof(sealed.log_proof).extra)
        mail = mail or office.mail(sealed)
        signature = signature or sealed.signature
        token = office.token(signature)
        opening = Opening("payload", b"\x09" * 32, PAYLOAD)
        subjects = {"incident": str(INCIDENT), "customer": "ab" * 32}
        declared = office.entry((opening,), type="incident.declared", subjects={"incident": str(INCIDENT)}, detail={})
        attempted = office.entry(
            (),
            type="delivery.attempted",
            subjects=subjects | {"notice": str(UUID(int=77)), "delivery": str(UUID(int=1))},
            detail={"channel": "email", "form": "full", "message_sha256": hashlib.sha256(mail).hexdigest()},
        )
        later = Opening("timestamp", b"\x08" * 32, hashlib.sha256(token).digest())
        stamped = office.entry((later,), type="notice.timestamped")
        detail = {"channel": "console", "message_sha256": hashlib.sha256(placed or sealed.document).hexdigest()}
        shown = office.entry((), type="delivery.attempted", detail=detail)
        leaves = [b"leaf %d" % number for number in range(9)]
        leaves[2], leaves[5], leaves[6] = leaf_bytes(declared), extra.leaf, leaf_bytes(attempted)
        leaves[7], leaves[8] = leaf_bytes(stamped), leaf_bytes(shown)
        grown = append_leaves(0, lambda _wanted: [], [leaf_hash(item) for item in leaves])
        nodes = {(level, index): hashed for level, index, hashed in grown.nodes}
        note = sign_checkpoint(self.key, Checkpoint(ORIGIN, grown.size, grown.root))

        def proof(index, salts, under=note):
            hashes = inclusion_proof(index, grown.size, lambda wanted: [nodes[node] for node in wanted])
            return format_proof(index, hashes, under, format_notice_extra(leaves[index], salts))

        #: the proof of the first entry under another checkpoint of the same log
        other = sign_checkpoint(self.key, Checkpoint(ORIGIN, grown.size, hashlib.sha256(b"fork").digest()))
        self.forked = proof(2, {"payload": opening.salt}, other)
        self.header = Header(Scope(incident=INCIDENT), PROVIDER, "en", ORIGIN, grown.size, 5)
        trust = office.files.trust
        self.parts = {
            "README.txt": readme(self.header, revocations=False),
            "anchors/ca.pem": (trust / "ca.pem").read_bytes(),
            "anchors/log.vkey": (trust / "log.vkey").read_bytes(),
            "anchors/tsa.pem": (trust / "tsa.pem").read_bytes(),
            "bundle.json": format_header(self.header),
            "checkpoint": note,
            f"{FIRST}entry.tlog-proof": proof(2, {"payload": opening.salt}),
            f"{FIRST}payload.json": PAYLOAD,
            f"{SEALED}entry.tlog-proof": proof(5, extra.salts),
            f"{SEALED}notice.json": sealed.document,
            f"{SEALED}notice.json.p7s": sealed.signature,
            f"{SEALED}notice.json.tsr": sealed.timestamp,
            f"{SEALED}resources.csv": sealed.resources_csv,
            f"{ATTEMPTED}entry.tlog-proof": proof(6, {}),
            f"{ATTEMPTED}message.eml": mail,
            f"{STAMPED}entry.tlog-proof": proof(7, {"timestamp": later.salt}),
            f"{STAMPED}notice.json.p7s": signature,
            f"{STAMPED}notice.json.tsr": token,
            f"{PLACED}entry.tlog-proof": proof(8, {}),
            "report.html": b"<!DOCTYPE html>",
        }
        for words in sealed.renderings:
            self.parts[f"{SEALED}words.{words.language}.txt"] = words.text.encode()
            self.parts[f"{SEALED}words.{words.language}.html"] = words.html.encode()
        if shared:
            self.parts |= self.dated(leaves[:6], nodes, grown.size, extra.salts)
            for name in [name for name in self.parts if name.startswith(STAMPED)]:
                del self.parts[name]
            self.header = replace(self.header, entries=4)
            self.parts |= {"bundle.json": format_header(self.header)}
            self.parts["README.txt"] = readme(self.header, revocations=False)
        carried = certificates_of_signature(sealed.signature) + certificates_of_token(sealed.timestamp)
        self.parts |= dict(signer_part(certificate) for certificate in carried)
        self.parts |= self.listed(self.parts)

    def dated(self, leaves, nodes, size, salts):
        """Return the parts about the checkpoint after some leaves, of which the last is the notice's: it is dated."""

        def read(wanted):
            return [nodes[node] for node in wanted]

        earlier = append_leaves(0, lambda _wanted: [], [leaf_hash(item) for item in leaves])
        note = sign_checkpoint(self.key, Checkpoint(ORIGIN, earlier.size, earlier.root))
        last = earlier.size - 1
        proof = format_proof(
            last, inclusion_proof(last, earlier.size, read), note, format_notice_extra(leaves[last], salts)
        )
        return {
            f"{SEALED}notice.tlog-proof": proof,
            f"{SEALED}notice.json.tsr": self.office.token(note),
            f"{SEALED}notice.consistency": format_consistency(consistency_proof(earlier.size, size, read)),
        }

    def listed(self, parts, *, key: Ed25519PrivateKey | None = None):
        """Return the checksums of parts, and the note over them."""
        lines = [
            checksum_line(name, hashlib.sha256(parts[name]).digest()) for name in sorted(parts) if name[:4] != "sums"
        ]
        sums = b"".join(lines)
        text = note_text(ORIGIN, self.header.tree_size, hashlib.sha256(sums).digest())
        return {SUMS: sums, SUMS_NOTE: sign_note(text, ORIGIN, key or self.key)}

    def with_header(self, **changes):
        """Return the parts with another header, with new checksums and a new signature."""
        parts = self.parts | {"bundle.json": format_header(replace(self.header, **changes))}
        return parts | self.listed(parts)


def archive(parts):
    """Return the archive of the parts."""
    target = io.BytesIO()
    writer = ArchiveWriter(target, io.BytesIO())
    for name in sorted(parts):
        writer.add(name, parts[name])
    writer.finish()
    return target.getvalue()
