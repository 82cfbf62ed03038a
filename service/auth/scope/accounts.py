"""Accounts under a scope: the provider's auditors see them, a customer's manager keeps its members."""

from collections.abc import Sequence
from uuid import UUID

from notifications.errors import NotFoundError, required
from notifications.ports import Page
from service.auth.scope.visibility import ScopedRepository
from service.ports.accounts import CUSTOMER_ROLES, Account, Grant, Membership, MembershipOffer
from service.ports.credentials import Passkey, Password, Totp
from service.ports.sessions import Link, Session, Throttle
from service.ports.tokens import ApiToken


class ScopedAccounts(ScopedRepository):
    """The accounts and grants within."""

    _name = "accounts"

    def grants_at(self, customer_id: UUID) -> Sequence[Grant]:
        if not self._scope.covers_customer(customer_id):
            return ()
        return [grant for grant in self._tx.accounts.grants_at(customer_id) if grant.role in CUSTOMER_ROLES]

    def get(self, account_id: UUID) -> Account | None:
        """Return an account: at the provider any, for accounts have no moment; else one with a role or offer within."""
        if self._scope.at_provider:
            return self._tx.accounts.get(account_id)
        memberships: list[Membership] = [*self._tx.accounts.grants(account_id), *self._tx.accounts.offers(account_id)]
        held = any(
            each.customer_id is not None and self._scope.covers_customer(each.customer_id) for each in memberships
        )
        return self._tx.accounts.get(account_id) if held else None

    def require(self, account_id: UUID) -> Account:
        return required("account", account_id, self.get(account_id))

    def page(self, page: Page) -> tuple[list[Account], str | None]:
        self._verify_at_provider("page")
        return self._tx.accounts.page(page)

    def grants(self, account_id: UUID) -> Sequence[Grant]:
        self._verify_at_provider("grants")
        return self._tx.accounts.grants(account_id)

    def offers(self, account_id: UUID) -> Sequence[MembershipOffer]:
        self._verify_at_provider("offers")
        return self._tx.accounts.offers(account_id)

    def by_email(self, email: str) -> Account | None:
        # The caller that invites states the address. The invitation decides what it learns of the account.
        return self._tx.accounts.by_email(email)

    def add(self, account: Account) -> None:
        # An account without a grant may do nothing, and a manager only offers memberships.
        self._tx.accounts.add(account)

    def remove_grant(self, grant_id: UUID) -> None:
        known = self._scope.customer_ids or ()
        if all(grant.id != grant_id for customer_id in known for grant in self.grants_at(customer_id)):
            raise NotFoundError("grant", grant_id)
        self._tx.accounts.remove_grant(grant_id)

    def add_offer(self, offer: MembershipOffer) -> None:
        self._verify_customer(offer.customer_id)
        self._tx.accounts.add_offer(offer)

    def remove_offer(self, offer_id: UUID) -> None:
        known = self._scope.customer_ids or ()
        if all(offer.id != offer_id for customer_id in known for offer in self.offers_at(customer_id)):
            raise NotFoundError("membership", offer_id)
        self._tx.accounts.remove_offer(offer_id)

    def offers_at(self, customer_id: UUID) -> Sequence[MembershipOffer]:
        return self._tx.accounts.offers_at(customer_id) if self._scope.covers_customer(customer_id) else ()


class ScopedCredentials(ScopedRepository):
    """Which credentials an account has, for the provider's side."""

    _name = "credentials"

    def password(self, account_id: UUID) -> Password | None:
        self._verify_at_provider("password")
        return self._tx.credentials.password(account_id)

    def totp(self, account_id: UUID) -> Totp | None:
        self._verify_at_provider("totp")
        return self._tx.credentials.totp(account_id)

    def passkeys(self, account_id: UUID) -> Sequence[Passkey]:
        self._verify_at_provider("passkeys")
        return self._tx.credentials.passkeys(account_id)


class ScopedSessions(ScopedRepository):
    """Sessions for the provider's side; links and throttles that a change within causes."""

    _name = "sessions"

    def of_account(self, account_id: UUID) -> Sequence[Session]:
        self._verify_at_provider("of_account")
        return self._tx.sessions.of_account(account_id)

    def add_link(self, link: Link) -> None:
        self._tx.sessions.add_link(link)

    def drop_links(self, purpose: str, subject_id: UUID) -> None:
        contact = self._tx.customers.contact(subject_id)
        if contact is None or not self._scope.covers_customer(contact.customer_id):
            raise NotFoundError("contact", subject_id)
        self._tx.sessions.drop_links(purpose, subject_id)

    def throttle(self, key: bytes) -> Throttle | None:
        return self._tx.sessions.throttle(key)

    def save_throttle(self, throttle: Throttle) -> None:
        self._tx.sessions.save_throttle(throttle)


class ScopedTokens(ScopedRepository):
    """API tokens, for the provider's side."""

    _name = "tokens"

    def of_account(self, account_id: UUID) -> Sequence[ApiToken]:
        self._verify_at_provider("of_account")
        return self._tx.tokens.of_account(account_id)
