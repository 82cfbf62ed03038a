"""Accounts and their grants."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import bindparam

from notifications.errors import required
from notifications.ports import Page
from service.ports.accounts import Account, ExternalIdentity, Grant, MembershipOffer, Role
from service.store.sql.flat import FlatTable
from service.store.sql.paging import FIRST, paged, start_of
from service.store.sql.records import Records
from service.store.sql.statements import compiled_text, limited
from service.store.tables import AccountRow, ExternalIdentityRow, GrantRow, MembershipOfferRow, table

_ACCOUNTS = FlatTable(Account, AccountRow)
_GRANTS = FlatTable(
    Grant, GrantRow, extra={"held_at": lambda grant: b"" if grant.customer_id is None else grant.customer_id.bytes}
)
_OFFERS = FlatTable(MembershipOffer, MembershipOfferRow)
_IDENTITIES = FlatTable(ExternalIdentity, ExternalIdentityRow)

_BY_ID, _BY_EMAIL = _ACCOUNTS.by("id"), _ACCOUNTS.by("email")
_accounts = table(AccountRow).c
_PAGE = limited(_ACCOUNTS.page().where(_accounts.position > bindparam("after")).order_by(_accounts.position), "after")
_UPDATE = compiled_text(
    "UPDATE accounts SET kind = :kind, name = :name, email = :email, language = :language, active = :active,"
    " time_zone = :time_zone, version = :version WHERE id = :id AND version = :expected",
    "kind", "name", "email", "language", "active", "time_zone", "version", "id", "expected",
)  # fmt: skip
_VERSION = compiled_text("SELECT version FROM accounts WHERE id = :id", "id")
_REMOVE_GRANT = compiled_text("DELETE FROM grants WHERE id = :id", "id")
_OF_ACCOUNT, _AT_CUSTOMER = _GRANTS.by("account_id", ordered=True), _GRANTS.by("customer_id", ordered=True)
_OF_ROLE = _GRANTS.by("role", ordered=True)
_OFFERS_TO, _OFFERS_AT = _OFFERS.by("account_id", ordered=True), _OFFERS.by("customer_id", ordered=True)
_REMOVE_OFFER = compiled_text("DELETE FROM membership_offers WHERE id = :id", "id")
_IDENTITY = _IDENTITIES.by("issuer", "subject")
_OF_PERSON = _IDENTITIES.by("account_id")


class AccountRecords(Records):
    """Implements ``service.ports.accounts.AccountRepository``."""

    def add(self, account: Account) -> None:
        """Store a new account."""
        self._session.execute(_ACCOUNTS.insert, _ACCOUNTS.values(account))
        self._changed("access")

    def get(self, account_id: UUID) -> Account | None:
        """Return the account."""
        row = self._session.one(_BY_ID, (account_id.bytes,))
        return None if row is None else _ACCOUNTS.record(row)

    def require(self, account_id: UUID) -> Account:
        """Return the account; raises NotFoundError where there is none."""
        return required("account", account_id, self.get(account_id))

    def by_email(self, email: str) -> Account | None:
        """Return the account by its normalised address."""
        row = self._session.one(_BY_EMAIL, (email,))
        return None if row is None else _ACCOUNTS.record(row)

    def save(self, account: Account, expected_version: int) -> None:
        """Replace the account; raises VersionMismatchError."""
        values = _ACCOUNTS.some_values(account, "kind", "name", "email", "language", "active", "time_zone")
        self._replace("account", account.id, expected_version, account.version, _VERSION, _UPDATE, values)
        self._changed("access")

    def page(self, page: Page) -> tuple[list[Account], str | None]:
        """Return accounts, oldest first."""
        rows = self._session.all(_PAGE, (start_of("accounts", page, FIRST), page.limit + 1))
        return paged("accounts", page, rows, lambda *row: _ACCOUNTS.record(row))

    def add_grant(self, grant: Grant) -> None:
        """Store a grant."""
        self._session.execute(_GRANTS.insert, _GRANTS.values(grant))
        self._changed("access")

    def remove_grant(self, grant_id: UUID) -> None:
        """Remove a grant."""
        self._session.execute(_REMOVE_GRANT, (grant_id.bytes,))
        self._changed("access")

    def grants(self, account_id: UUID) -> Sequence[Grant]:
        """Return the grants of an account."""
        return [_GRANTS.record(row) for row in self._session.all(_OF_ACCOUNT, (account_id.bytes,))]

    def grants_at(self, customer_id: UUID) -> Sequence[Grant]:
        """Return the grants for a customer."""
        return [_GRANTS.record(row) for row in self._session.all(_AT_CUSTOMER, (customer_id.bytes,))]

    def holders(self, role: Role) -> Sequence[Account]:
        """Return the active accounts that have a role, at the provider or for any customer, each once."""
        grants = [_GRANTS.record(row) for row in self._session.all(_OF_ROLE, (role.value,))]
        found = (self.get(account_id) for account_id in dict.fromkeys(grant.account_id for grant in grants))
        return [account for account in found if account is not None and account.active]

    def add_offer(self, offer: MembershipOffer) -> None:
        """Store an offer."""
        self._session.execute(_OFFERS.insert, _OFFERS.values(offer))
        self._changed("access")

    def remove_offer(self, offer_id: UUID) -> None:
        """Remove an offer."""
        self._session.execute(_REMOVE_OFFER, (offer_id.bytes,))
        self._changed("access")

    def offers(self, account_id: UUID) -> Sequence[MembershipOffer]:
        """Return the offers to an account."""
        return [_OFFERS.record(row) for row in self._session.all(_OFFERS_TO, (account_id.bytes,))]

    def offers_at(self, customer_id: UUID) -> Sequence[MembershipOffer]:
        """Return the offers for a customer."""
        return [_OFFERS.record(row) for row in self._session.all(_OFFERS_AT, (customer_id.bytes,))]

    def add_external_identity(self, identity: ExternalIdentity) -> None:
        """Store an external identity."""
        self._session.execute(_IDENTITIES.insert, _IDENTITIES.values(identity))
        self._changed("access")

    def external_identity(self, issuer: str, subject: str) -> ExternalIdentity | None:
        """Return the external identity by issuer and subject."""
        row = self._session.one(_IDENTITY, (issuer, subject))
        return None if row is None else _IDENTITIES.record(row)

    def external_identities(self, account_id: UUID) -> Sequence[ExternalIdentity]:
        """Return the external identities of an account."""
        return [_IDENTITIES.record(row) for row in self._session.all(_OF_PERSON, (account_id.bytes,))]
