"""Records of accounts and access for tests: valid, with every optional field filled and identifiers of their own."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from service.ports.accounts import Account, AccountKind, ExternalIdentity, Grant, Role
from service.ports.alerts import Alert
from service.ports.credentials import Passkey, Password, RecoveryCode, Totp
from service.ports.mails import ServiceMail
from service.ports.sessions import Link, PendingSignIn, Session, Throttle
from service.ports.tokens import ApiToken
from support.numbering import numbers
from support.records import NOW, after

_numbers = numbers()


def some_digest():
    """Return 32 bytes that differ in each call."""
    return next(_numbers).to_bytes(32, "big")


def make_account(**changes):
    made = Account(
        id=uuid4(),
        kind=AccountKind.PERSON,
        name="Zoë",
        email=f"zoe{next(_numbers)}@example.org",
        language="de",
        active=True,
        created_at=NOW,
        created_by="operator:a",
    )
    return replace(made, **changes)


def make_grant(account, role=Role.ANALYST, customer=None, **changes):
    made = Grant(
        id=uuid4(),
        account_id=account.id,
        role=role,
        customer_id=None if customer is None else customer.id,
        starts_at=after(days=-1),
        ends_at=after(days=1, microseconds=1),
        granted_at=NOW,
        granted_by="account:b",
        from_claims=True,
    )
    return replace(made, **changes)


def make_password(account, **changes):
    return replace(Password(account.id, "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA", NOW), **changes)


def make_totp(account, **changes):
    return replace(Totp(account.id, b"\x00sealed", NOW, after(minutes=1, microseconds=1), 58_000_001), **changes)


def make_passkey(account, **changes):
    made = Passkey(uuid4(), account.id, some_digest(), b"\xa5key", 7, "Schlüssel", NOW, after(microseconds=1))
    return replace(made, **changes)


def make_code(account, **changes):
    return replace(RecoveryCode(account.id, some_digest(), NOW, None), **changes)


def make_identity(account, **changes):
    return replace(ExternalIdentity("https://id.example", f"sub-{next(_numbers)}", account.id, NOW), **changes)


def make_session(account, **changes):
    made = Session(
        id=uuid4(),
        account_id=account.id,
        digest=some_digest(),
        method="password+totp",
        user_agent="Browser é",
        created_at=NOW,
        last_seen_at=after(minutes=1, microseconds=1),
        expires_at=after(hours=8, microseconds=2),
    )
    return replace(made, **changes)


def make_token(account, **changes):
    made = ApiToken(
        id=uuid4(),
        account_id=account.id,
        name="automation",
        digest=some_digest(),
        hint="grf_abc",
        permissions=("incident.read", "notice.read"),
        created_at=NOW,
        created_by="account:a",
        expires_at=after(days=90, microseconds=3),
        last_used_at=after(microseconds=1),
        revoked_at=None,
    )
    return replace(made, **changes)


def make_link(**changes):
    made = Link(uuid4(), "invitation", uuid4(), some_digest(), "zoe@example.org", NOW, after(days=1, microseconds=1))
    return replace(made, **changes)


def make_pending(account=None, **changes):
    account_id = None if account is None else account.id
    made = PendingSignIn(uuid4(), some_digest(), "second_factor", account_id, b"\x00sealed", after(microseconds=1))
    return replace(made, **changes)


def make_throttle(**changes):
    return replace(Throttle(some_digest(), 3, NOW, after(minutes=1, microseconds=1)), **changes)


def make_mail(**changes):
    made = ServiceMail(
        id=uuid4(),
        purpose="invitation",
        recipient="zoe@example.org",
        recipient_name="Zoë",
        language="fr",
        subject="Sujet é",
        text="Ligne\nLigne\n",
        created_at=NOW,
        state="queued",
        attempts=2,
        next_attempt_at=NOW + timedelta(microseconds=1),
        last_error="451 try later",
    )
    return replace(made, **changes)


def make_alert(**changes):
    made = Alert(
        id=uuid4(),
        key=f"draft_near_deadline:{next(_numbers)}",
        kind="draft_near_deadline",
        raised_at=NOW,
        incident_id=uuid4(),
        notice_id=uuid4(),
        customer_id=uuid4(),
        what="A draft é is near its deadline",
    )
    return replace(made, **changes)
