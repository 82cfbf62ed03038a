"""Invitations: the link with which a person sets a password, and the mail with the link."""

import tomllib
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files

from notifications.errors import StateConflictError
from notifications.use_cases.audit_context import AuditContext
from service.auth.sign_in.links import issue_link
from service.ports.accounts import Account
from service.ports.mails import ServiceMail
from service.ports.store import AccessTransaction

#: Lifetime in hours of an invitation, and of a reset that an administrator sends: longer than a weekend.
_HOURS = 72
_WORDS: dict[str, dict[str, dict[str, str]]] = tomllib.loads(
    (files(__package__) / "invitations.toml").read_text(encoding="utf-8")
)


@dataclass(frozen=True, slots=True)
class Invitation:
    """An issued link."""

    account: Account
    expires_at: datetime
    mailed: bool
    #: path and secret of the link; None if only the account's mailbox may get it
    shown: str | None


def invite(
    tx: AccessTransaction,
    act: AuditContext,
    account: Account,
    *,
    secret: str,
    console_url: str | None,
    provider_name: str,
) -> Invitation:
    """Issue the link of a person and queue its mail; earlier links become invalid.

    A person who cannot sign in yet is invited, and the inviting person sees the link too. A person who can sign in gets
    a reset link only by mail, so that an administrator cannot take over the account. ``secret`` comes from
    ``new_link_secret``. Raises StateConflictError for a service account, for an inactive account, and if a mail is
    needed but ``console_url`` is None.
    """
    if account.email is None:
        raise StateConflictError("a service account signs in by tokens alone: it is not invited")
    if not account.active:
        raise StateConflictError("the account is not active")
    can_sign_in = (
        tx.credentials.password(account.id) is not None
        or bool(tx.credentials.passkeys(account.id))
        or bool(tx.accounts.external_identities(account.id))
    )
    if can_sign_in and console_url is None:
        raise StateConflictError(
            "the account can sign in already, and without provider.console_url no link can be mailed to it"
        )
    for known in ("invitation", "reset"):
        tx.sessions.drop_links(known, account.id)
    return _issue(tx, act, account, "reset" if can_sign_in else "invitation", secret, console_url, provider_name)


def invite_new(
    tx: AccessTransaction,
    act: AuditContext,
    account: Account,
    *,
    secret: str,
    console_url: str | None,
    provider_name: str,
) -> Invitation:
    """Like ``invite``, for an account that was created in this transaction."""
    return _issue(tx, act, account, "invitation", secret, console_url, provider_name)


def tell_membership(
    tx: AccessTransaction, act: AuditContext, account: Account, *, console_url: str | None, provider_name: str
) -> None:
    """Queue the mail to a person with an account whom one more customer invites; it names no customer."""
    if console_url is not None and account.active:
        _mail(tx, act, account, "membership", f"{console_url.rstrip('/')}/account", provider_name)
    # As many entries as for an invitation, so that the length of the log does not reveal whether there was an account.
    subjects = {"account": str(account.id)}
    tx.audit.append([act.entry("membership.told", subjects=subjects), act.entry("account.joined", subjects=subjects)])


def _issue(
    tx: AccessTransaction,
    act: AuditContext,
    account: Account,
    purpose: str,
    secret: str,
    console_url: str | None,
    provider_name: str,
) -> Invitation:
    link = issue_link(
        tx,
        act,
        purpose=purpose,
        subject_id=account.id,
        binding=account.email or "",
        seconds=_HOURS * 3600,
        secret=secret,
    )
    path = f"/{purpose}/{secret}"
    if console_url is not None:
        _mail(tx, act, account, purpose, console_url.rstrip("/") + path, provider_name)
    tx.audit.append([
        act.entry(
            f"{purpose}.sent",
            subjects={"account": str(account.id), "link": str(link.id)},
            detail={"mailed": console_url is not None},
            private={"email": account.email},
        )
    ])  # fmt: skip
    shown = (console_url or "").rstrip("/") + path if purpose == "invitation" else None
    return Invitation(account, link.expires_at, console_url is not None, shown)


def _mail(
    tx: AccessTransaction, act: AuditContext, account: Account, purpose: str, link: str, provider_name: str
) -> None:
    words = _WORDS[purpose][account.language]
    mail = ServiceMail(
        id=act.identifiers.new_id(),
        purpose=purpose,
        recipient=account.email or "",
        recipient_name=account.name,
        language=account.language,
        subject=words["subject"].format(provider=provider_name),
        text=words["text"].lstrip("\n").format(provider=provider_name, link=link, hours=_HOURS),
        created_at=act.now,
    )
    tx.mails.add(mail)
