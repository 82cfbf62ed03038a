"""Schemas of accounts, roles, members, tokens and sessions. They contain no hash, seed or digest."""

from typing import Annotated, Any, Literal
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field

from service.auth.accounts import AccountDraft, AccountView, GrantDraft
from service.auth.memberships import OwnMembership
from service.auth.permissions import Permission
from service.ports.accounts import AccountKind, Membership, MembershipOffer, Role
from service.ports.sessions import Session
from service.ports.tokens import ApiToken
from service.web.api.fields import Language, Line, Moment, Out, Schema, TimeZone


def _account_address(address: str) -> str:
    """Return an address in the form in which accounts store it: in lower case, with the domain in U-labels."""
    try:
        # Not casefold(): it would turn the domain "faß.example" into another one.
        return validate_email(address, check_deliverability=False, test_environment=True).normalized.lower()
    except EmailNotValidError as error:
        raise ValueError(f"is no mail address: {error}") from None


AccountAddress = Annotated[str, Field(max_length=320), AfterValidator(_account_address)]


class NewAccountIn(Schema):
    """An account to create."""

    kind: AccountKind = AccountKind.PERSON
    name: Line
    email: AccountAddress | None = Field(None, description="A person's; a service account has none.")
    language: Language = "fr"

    def to_domain(self) -> AccountDraft:
        """Return the domain record. Addresses are compared without regard to case."""
        return AccountDraft(self.kind, self.name, self.email, self.language)


class AccountIn(Schema):
    """The fields of an account that may be changed."""

    name: Line
    language: Language
    active: bool = Field(description="An inactive account is signed out and its tokens work no more.")


class GrantIn(Schema):
    """A role to grant."""

    role: Role
    customer_id: UUID | None = Field(None, description="Where it is held; none for a role at the provider.")
    starts_at: Moment | None = Field(None, description="An auditor's period: records from this moment on.")
    ends_at: Moment | None = Field(None, description="And before this one.")

    def to_domain(self) -> GrantDraft:
        """Return the domain record."""
        return GrantDraft(self.role, self.customer_id, self.starts_at, self.ends_at)


class GrantOut(Out):
    """A role of an account, or a membership that the person has not accepted yet."""

    id: UUID
    role: str
    customer_id: UUID | None
    starts_at: Moment | None
    ends_at: Moment | None
    granted_at: Moment
    granted_by: str
    from_claims: bool = Field(description="Given by the identity provider, and taken away by it.")
    accepted: bool = Field(description="False for a membership that the person has not accepted: it permits nothing.")


class AccountOut(Out):
    """An account."""

    id: UUID
    kind: str
    name: str
    email: str | None
    language: str
    active: bool
    created_at: Moment
    created_by: str
    version: int
    grants: list[GrantOut]
    last_sign_in_at: Moment | None = Field(description="As far as open sessions, passkeys and codes tell.")
    has_credentials: bool = Field(description="Whether a password or a passkey is set.")
    has_second_factor: bool
    time_zone: str | None = Field(description="In which the person reads and types times; null: none is chosen.")


class TimeZoneIn(Schema):
    """The zone in which a person reads and types times."""

    time_zone: TimeZone | None = Field(
        description="An IANA name, such as `Europe/Paris`; null for that of the customer, else UTC."
    )


class AccountPage(Out):
    """A page of accounts, oldest first."""

    items: list[AccountOut]
    next_cursor: str | None


class InvitationOut(Out):
    """An invitation that was just created."""

    account_id: UUID
    expires_at: Moment
    mailed: bool = Field(description="Whether a mail with the link is queued.")
    link: str | None = Field(
        description="The single-use link, shown this once, for an account that nobody can sign in to yet. One with"
        " credentials gets its link only by mail to itself, so that an invitation takes over no account."
    )


class SignOutOut(Out):
    """The number of ended sessions."""

    sessions_ended: int


class NewTokenIn(Schema):
    """A token to issue."""

    name: Line = Field(examples=["SIEM"])
    permissions: tuple[Permission, ...] = Field(min_length=1, max_length=len(Permission))
    expires_at: Moment = Field(description="Within a year.")


class TokenOut(Out):
    """The record of a token, without the token itself."""

    id: UUID
    name: str
    hint: str = Field(description="Its first characters.")
    permissions: list[str]
    created_at: Moment
    created_by: str
    expires_at: Moment
    last_used_at: Moment | None = Field(description="To the minute.")
    revoked_at: Moment | None


class NewTokenOut(TokenOut):
    """A token that was just issued."""

    token: str | None = Field(
        description="The token: shown this once, stored nowhere. Null in the answer to a repeated request."
    )


class TokenList(Out):
    """The tokens of an account, including revoked and expired ones."""

    items: list[TokenOut]


class SessionOut(Out):
    """A browser that is signed in."""

    id: UUID
    method: str
    user_agent: str
    created_at: Moment
    last_seen_at: Moment
    expires_at: Moment
    current: bool


class SessionList(Out):
    """The sessions of an account."""

    items: list[SessionOut]


class CustomerPermissions(Out):
    """The permissions of the caller at one customer."""

    customer_id: UUID
    permissions: list[str]


class OneselfOut(Out):
    """The caller, and its permissions with the credential of this request."""

    id: UUID
    kind: str
    name: str
    email: str | None
    language: str
    time_zone: str | None = Field(description="The zone that the person chose; null: none is chosen.")
    credential: Literal["session", "token"]
    grants: list[GrantOut]
    permissions: list[str] = Field(description="At large.")
    customers: list[CustomerPermissions] = Field(description="At one customer, beside those at large.")


class MemberIn(Schema):
    """The person to invite to act for the customer."""

    email: AccountAddress
    role: Literal[Role.CUSTOMER_MEMBER, Role.CUSTOMER_MANAGER] = Role.CUSTOMER_MEMBER
    language: Language = Field("fr", description="Of the invitation.")


class MemberOut(Out):
    """A person who acts for the customer. Other roles of the account are not shown."""

    id: UUID = Field(description="Of the membership.")
    account_id: UUID = Field(description="As the trail names who acted.")
    email: str | None
    role: str
    granted_at: Moment = Field(description="When the membership was accepted; before that, when it was offered.")
    granted_by: str
    accepted: bool = Field(description="False while the person has not accepted: until then it may do nothing.")


class MemberList(Out):
    """The people who act for the customer, and those who are invited to."""

    items: list[MemberOut]


class MembershipOut(Out):
    """A customer that the caller acts for, or is invited to act for."""

    id: UUID
    customer_id: UUID
    customer_name: str
    role: str
    granted_at: Moment = Field(description="When it was accepted; before that, when it was offered.")
    granted_by: str
    accepted: bool


class MembershipList(Out):
    """The caller's memberships: accepted ones first, then invitations."""

    items: list[MembershipOut]


def membership_out(own: OwnMembership) -> MembershipOut:
    """Return the schema of a membership of the caller."""
    return MembershipOut.model_construct(customer_name=own.customer_name, **membership_members(own.membership))


def membership_members(membership: Membership) -> dict[str, Any]:
    """Return the fields that every schema of a membership or invitation has."""
    if isinstance(membership, MembershipOffer):
        since, by, is_accepted = membership.offered_at, membership.offered_by, False
    else:
        since, by, is_accepted = membership.granted_at, membership.granted_by, True
    return {
        "id": membership.id,
        "customer_id": membership.customer_id,
        "role": membership.role.value,
        "granted_at": since,
        "granted_by": by,
        "accepted": is_accepted,
    }


def grant_out(grant: Membership) -> GrantOut:
    """Return the schema of a grant, or of an invitation."""
    if isinstance(grant, MembershipOffer):
        return GrantOut.model_construct(starts_at=None, ends_at=None, from_claims=False, **membership_members(grant))
    return GrantOut.model_construct(
        id=grant.id,
        role=grant.role.value,
        customer_id=grant.customer_id,
        starts_at=grant.starts_at,
        ends_at=grant.ends_at,
        granted_at=grant.granted_at,
        granted_by=grant.granted_by,
        from_claims=grant.from_claims,
        accepted=True,
    )


def account_out(view: AccountView) -> AccountOut:
    """Return the schema of an account."""
    account = view.account
    return AccountOut.model_construct(
        id=account.id,
        kind=account.kind.value,
        name=account.name,
        email=account.email,
        language=account.language,
        active=account.active,
        created_at=account.created_at,
        created_by=account.created_by,
        version=account.version,
        grants=[*map(grant_out, view.grants), *map(grant_out, view.offers)],
        last_sign_in_at=view.last_sign_in_at,
        has_credentials=view.has_credentials,
        has_second_factor=view.has_second_factor,
        time_zone=account.time_zone,
    )


def token_out(token: ApiToken) -> TokenOut:
    """Return the schema of a token."""
    return TokenOut.model_construct(**_token_members(token))


def new_token_out(token: ApiToken, secret: str | None) -> NewTokenOut:
    """Return the schema of a token that was just issued. The answer contains the token; the stored answer does not."""
    return NewTokenOut.model_construct(token=secret, **_token_members(token))


def _token_members(token: ApiToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "hint": token.hint,
        "permissions": list(token.permissions),
        "created_at": token.created_at,
        "created_by": token.created_by,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
        "revoked_at": token.revoked_at,
    }


def session_out(session: Session, current: UUID | None) -> SessionOut:
    """Return the schema of a session."""
    return SessionOut.model_construct(
        id=session.id,
        method=session.method,
        user_agent=session.user_agent,
        created_at=session.created_at,
        last_seen_at=session.last_seen_at,
        expires_at=session.expires_at,
        current=session.id == current,
    )
