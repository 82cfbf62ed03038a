"""A trust policy for checkpoints (c2sp.org/tlog-policy): the logs, the witnesses, and the quorum of cosignatures.

A policy says only when a checkpoint counts. It says nothing about entries, or about the age of a checkpoint.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from notifications.audit.checkpoint import verify_checkpoint, verify_cosignature
from notifications.audit.note import (
    COSIGNATURE_V1,
    ED25519,
    MLDSA_44,
    VerifierKey,
    parse_note,
    parse_verifier_key,
    signatures_of,
)
from notifications.errors import Fault, InvalidInputError, VerificationError

#: The quorum of a policy that asks for no cosignature.
NO_QUORUM = "none"
#: Room for about 500 keys of ML-DSA-44. The format asks readers to take 32 logs, 32 witnesses and 32 groups.
MAX_POLICY_BYTES = 1_000_000

_LOG_TYPES, _WITNESS_TYPES = frozenset({ED25519, MLDSA_44}), frozenset({COSIGNATURE_V1, MLDSA_44})
_ALGORITHMS = {COSIGNATURE_V1: "ed25519", MLDSA_44: "mldsa44"}
#: Control characters other than tab and line feed.
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_SPACE = re.compile(r"[ \t]+")
#: The group of all witnesses. A key name has no plus, so no witness has this name.
_ALL_WITNESSES = "+witnesses"


@dataclass(frozen=True, slots=True)
class Group:
    """Witnesses and groups of which a number must have cosigned."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy. Its names have no meaning outside it."""

    #: empty if the verifier knows the logs from elsewhere
    logs: tuple[VerifierKey, ...]
    witnesses: Mapping[str, VerifierKey]
    #: in the order of the file, so that the members of a group come before the group
    groups: Mapping[str, Group]
    #: the name of a witness or of a group, or ``NO_QUORUM``
    quorum: str


def parse_policy(data: bytes) -> Policy:
    """Return the policy of a file; raises InvalidInputError, which names the line."""
    if len(data) > MAX_POLICY_BYTES:
        raise InvalidInputError(Fault("policy", f"is longer than {MAX_POLICY_BYTES} bytes"))
    # The format treats names as bytes. So bytes that are not UTF-8 are kept apart too.
    text = data.decode("utf-8", "surrogateescape")
    if found := _FORBIDDEN.search(text):
        raise InvalidInputError(Fault("policy", f"holds the control character 0x{ord(found[0]):02x}"))
    # The last line of a policy that was cut off could ask for less than it did.
    if not text.endswith("\n"):
        raise InvalidInputError(Fault("policy", "must end with a line feed"))
    lines = _Lines()
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip(" \t")
        if stripped and not stripped.startswith("#"):
            try:
                lines.take(*_SPACE.split(stripped))
            except _LineError as error:
                raise InvalidInputError(Fault("policy", f"line {number}: {error}")) from None
    if lines.quorum is None:
        raise InvalidInputError(Fault("policy", "has no quorum line"))
    return Policy(tuple(lines.logs), lines.witnesses, lines.groups, lines.quorum)


class _LineError(Exception):
    """What is wrong with a line."""


class _Lines:
    """Takes the lines of a policy in their order."""

    def __init__(self) -> None:
        self.logs: list[VerifierKey] = []
        self.witnesses: dict[str, VerifierKey] = {}
        self.groups: dict[str, Group] = {}
        self.quorum: str | None = None
        self._members: set[str] = set()

    def take(self, *words: str) -> None:
        """Take the words of one line; raises _LineError."""
        match words:
            case ["log", vkey] | ["log", vkey, _]:
                self.logs.append(_key(vkey, _LOG_TYPES, self.logs))
            case ["witness", name, vkey] | ["witness", name, vkey, _]:
                self._verify_new(name)
                self.witnesses[name] = _key(vkey, _WITNESS_TYPES, self.witnesses.values())
            case ["group", name, threshold, _, *_]:
                self._verify_new(name)
                self.groups[name] = self._group(threshold, words[3:])
            case ["quorum", name]:
                if self.quorum is not None:
                    raise _LineError("a policy has one quorum line")
                if name != NO_QUORUM:
                    self._verify_defined(name)
                self.quorum = name
            case _:
                raise _LineError(f"{_shown(words[0])} with {len(words) - 1} words after it is no line of a policy")

    def _group(self, threshold: str, members: Sequence[str]) -> Group:
        for name in members:
            self._verify_defined(name)
            if name in self._members:
                raise _LineError(f"{_shown(name)} is a member already; a name is a member once in a policy")
            self._members.add(name)
        match threshold:
            case "any":
                return Group(1, tuple(members))
            case "all":
                return Group(len(members), tuple(members))
        if threshold not in map(str, range(1, len(members) + 1)):
            raise _LineError(f"{_shown(threshold)} must be any, all, or a number from 1 to {len(members)}")
        return Group(int(threshold), tuple(members))

    def _verify_new(self, name: str) -> None:
        if name == NO_QUORUM or name in self.witnesses or name in self.groups:
            raise _LineError(f"the name {_shown(name)} is taken")

    def _verify_defined(self, name: str) -> None:
        if name not in self.witnesses and name not in self.groups:
            raise _LineError(f"{_shown(name)} is no witness and no group of the lines before")


def _key(vkey: str, types: frozenset[int], others: Iterable[VerifierKey]) -> VerifierKey:
    try:
        key = parse_verifier_key(vkey)
    except InvalidInputError as error:
        raise _LineError(str(error)) from None
    if key.kind not in types:
        raise _LineError(f"the key of {key.name} has type 0x{key.kind:02x}, which does not fit this line")
    if any(other.public_key == key.public_key for other in others):
        raise _LineError(f"the key of {key.name} is on two lines")
    return key


def _shown(name: str) -> str:
    return ascii(name)


def format_policy(logs: Sequence[VerifierKey], witnesses: Sequence[Sequence[VerifierKey]], quorum: int | None) -> bytes:
    """Return a policy: the keys of a log, the keys of each witness, and how many witnesses must have cosigned.

    ``quorum``: None for all witnesses, 0 for no cosignature. A witness with two keys must have cosigned with both.
    Raises InvalidInputError if there is no such policy, for example with fewer witnesses than the quorum.
    """
    lines, members = [f"log {key.text()}" for key in logs], []
    for first, *others in witnesses:
        members.append(first.name)
        if not others:
            lines.append(f"witness {first.name} {first.text()}")
            continue
        own = {f"{first.name}+{_ALGORITHMS[key.kind]}": key for key in (first, *others)}
        lines += [f"witness {name} {key.text()}" for name, key in own.items()]
        lines.append(f"group {first.name} all {' '.join(own)}")
    wanted = len(members) if quorum is None else quorum
    if wanted:
        number = "all" if wanted == len(members) else wanted
        lines.append(f"group {_ALL_WITNESSES} {number} {' '.join(members)}")
    lines.append(f"quorum {_ALL_WITNESSES if wanted else NO_QUORUM}")
    policy = "".join(f"{line}\n" for line in lines).encode()
    parse_policy(policy)  # a policy that nobody can read must not be published
    return policy


def verify_policy(note: bytes, policy: Policy) -> tuple[str, ...]:
    """Return the names of the witnesses that cosigned a checkpoint; raises VerificationError unless the policy is met.

    1. A log of the policy signed the checkpoint, if the policy lists logs.
    2. Each cosignature by a witness of the policy is right. Lines of others are ignored.
    3. Enough of them cosigned.

    Not checked: how old the checkpoint and its cosignatures are, and the log's signature if the policy lists no logs.
    """
    # 1.
    try:
        parsed = parse_note(note)
        if policy.logs:
            verify_checkpoint(note, *policy.logs)
    except InvalidInputError as error:
        raise VerificationError("policy", str(error)) from None
    except VerificationError as error:
        raise VerificationError("policy", f"no log of the policy vouches for it: {error.reason}") from None
    # 2.
    cosigned = tuple(name for name, key in policy.witnesses.items() if signatures_of(parsed, key))
    for name in cosigned:
        try:
            verify_cosignature(note, policy.witnesses[name])
        except VerificationError as error:
            raise VerificationError("policy", f"witness {_shown(name)}: {error.reason}") from None
    # 3.
    met = {NO_QUORUM, *cosigned}
    for name, group in policy.groups.items():
        if len(met.intersection(group.members)) >= group.threshold:
            met.add(name)
    if policy.quorum not in met:
        raise VerificationError("policy", _missing(policy, met))
    return cosigned


def _missing(policy: Policy, met: set[str]) -> str:
    if policy.quorum in policy.witnesses:
        return f"the quorum is not met: witness {_shown(policy.quorum)} did not cosign the checkpoint"
    group = policy.groups[policy.quorum]
    lacking = ", ".join(_shown(name) for name in group.members if name not in met)
    return (
        f"the quorum {_shown(policy.quorum)} is not met: it needs {group.threshold} of {len(group.members)}, and"
        f" {len(met.intersection(group.members))} cosigned the checkpoint; without: {lacking}"
    )
