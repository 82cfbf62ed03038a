"""Customers, their agreement bindings and profiles."""

from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select

from notifications.audit.entry import pseudonym
from notifications.customer.records import AgreementBinding, Customer, LevelChoice, NewsChannel, ProfileVersion
from notifications.errors import NotFoundError, required
from notifications.ports import Page
from service.store.search.documents import SearchDocuments
from service.store.sql.directory import Listing
from service.store.sql.encoding import JsonCodec, from_microseconds, to_microseconds
from service.store.sql.paging import FIRST, paged, start_of
from service.store.sql.records import Records
from service.store.sql.statements import compiled, compiled_text, insert_of, limited
from service.store.tables import (
    AgreementBindingRow,
    CustomerRow,
    CustomerSaltRow,
    ProfileRow,
    table,
)

_NAMES: JsonCodec[tuple[str, ...]] = JsonCodec(tuple[str, ...])
_CHOICES: JsonCodec[tuple[LevelChoice, ...]] = JsonCodec(tuple[LevelChoice, ...])

_customers, _salts = table(CustomerRow).c, table(CustomerSaltRow).c
_bindings, _profiles = table(AgreementBindingRow).c, table(ProfileRow).c

#: The columns of a customer, in the order of its fields; also read together with a due delivery.
CUSTOMER = (
    _customers.id, _customers.name, _customers.language, _customers.time_zone, _customers.services,
    _customers.regions, _customers.availability_zones, _customers.created_at, _customers.version, _customers.four_eyes,
    _customers.acknowledge_within_seconds, _customers.news_channel,
)  # fmt: skip
BINDING = (
    _bindings.customer_id, _bindings.agreement_id, _bindings.effective_at, _bindings.recorded_at, _bindings.dpa_id,
    _bindings.products,
)  # fmt: skip
PROFILE = (
    _profiles.id, _profiles.customer_id, _profiles.version, _profiles.choices, _profiles.effective_at,
    _profiles.recorded_at, _profiles.recorded_by,
)  # fmt: skip

_INSERT_CUSTOMER, _INSERT_SALT = insert_of(CustomerRow), insert_of(CustomerSaltRow)
_INSERT_BINDING, _INSERT_PROFILE = insert_of(AgreementBindingRow), insert_of(ProfileRow)

_CUSTOMER_BY_ID = compiled(select(*CUSTOMER).where(_customers.id == bindparam("id")), "id")
_ALL_CUSTOMERS = compiled(select(*CUSTOMER).order_by(_customers.position))
_CUSTOMERS_PAGE = limited(
    select(_customers.position, *CUSTOMER)
    .where(_customers.position > bindparam("after"))
    .order_by(_customers.position),
    "after",
)
_UPDATE_CUSTOMER = compiled_text(
    "UPDATE customers SET name = :name, language = :language, time_zone = :time_zone, services = :services,"
    " regions = :regions, availability_zones = :availability_zones, four_eyes = :four_eyes,"
    " acknowledge_within_seconds = :acknowledge_within_seconds, news_channel = :news_channel, version = :version"
    " WHERE id = :id AND version = :expected",
    "name", "language", "time_zone", "services", "regions", "availability_zones", "four_eyes",
    "acknowledge_within_seconds", "news_channel", "version", "id", "expected",
)  # fmt: skip
_CUSTOMER_VERSION = compiled(select(_customers.version).where(_customers.id == bindparam("id")), "id")
_SALT = compiled(select(_salts.salt).where(_salts.customer_id == bindparam("id")), "id")
_ALL_SALTS = compiled(select(_salts.customer_id, _salts.salt))

_BINDINGS = compiled(
    select(*BINDING).where(_bindings.customer_id == bindparam("id")).order_by(_bindings.position), "id"
)
_ALL_BINDINGS = compiled(select(*BINDING).order_by(_bindings.position))
_PROFILES = compiled(select(*PROFILE).where(_profiles.customer_id == bindparam("id")).order_by(_profiles.version), "id")
_ALL_PROFILES = compiled(select(*PROFILE).order_by(_profiles.version, _profiles.position))

_DIRECTORY_VERSION = compiled_text("SELECT version FROM directory_version WHERE id = 1")
_NEXT_DIRECTORY_VERSION = compiled_text(
    "INSERT INTO directory_version (id, version) VALUES (1, 1)"
    " ON CONFLICT (id) DO UPDATE SET version = directory_version.version + 1"
)


@lru_cache(maxsize=64)
def _some_customers(count: int) -> str:
    listed = ", ".join(column.name for column in CUSTOMER)
    return f"SELECT {listed} FROM customers WHERE id IN ({', '.join('?' * count)})"  # noqa: S608 - names of columns


def customer_of_row(*row: Any) -> Customer:
    """Return the customer of a row, in the order of ``CUSTOMER``."""
    (
        id_bytes, name, language, time_zone, services, regions, availability_zones, created_at, version, four_eyes,
        acknowledge_within_seconds, news_channel,
    ) = row  # fmt: skip
    return Customer(
        UUID(bytes=id_bytes),
        name,
        language,
        time_zone,
        _names(services),
        _names(regions),
        _names(availability_zones),
        from_microseconds(created_at),
        version,
        bool(four_eyes),
        acknowledge_within_seconds,
        NewsChannel(news_channel),
    )


def _names(text: str) -> tuple[str, ...]:
    return () if text == "[]" else _NAMES.decode(text)


def _row_of_customer(customer: Customer) -> tuple[object, ...]:
    return (
        customer.id.bytes,
        customer.name,
        customer.language,
        customer.time_zone,
        _NAMES.encode(customer.services),
        _NAMES.encode(customer.regions),
        _NAMES.encode(customer.availability_zones),
        to_microseconds(customer.created_at),
        customer.version,
        customer.four_eyes,
        customer.acknowledge_within_seconds,
        customer.news_channel.value,
    )


def _row_of_binding(binding: AgreementBinding) -> tuple[object, ...]:
    return (
        binding.customer_id.bytes,
        binding.agreement_id,
        to_microseconds(binding.effective_at),
        to_microseconds(binding.recorded_at),
        binding.dpa_id,
        None if binding.products is None else _NAMES.encode(binding.products),
    )


def binding_of_row(row: tuple[Any, ...]) -> AgreementBinding:
    """Return the binding of a row, in the order of ``BINDING``."""
    customer_id, agreement_id, effective_at, recorded_at, dpa_id, products = row
    return AgreementBinding(
        UUID(bytes=customer_id),
        agreement_id,
        from_microseconds(effective_at),
        from_microseconds(recorded_at),
        dpa_id,
        None if products is None else _NAMES.decode(products),
    )


def profile_of_row(row: tuple[Any, ...]) -> ProfileVersion:
    """Return the profile version of a row, in the order of ``PROFILE``."""
    id_bytes, customer_id, version, choices, effective_at, recorded_at, recorded_by = row
    return ProfileVersion(
        UUID(bytes=id_bytes),
        UUID(bytes=customer_id),
        version,
        None if choices is None else _CHOICES.decode(choices),
        from_microseconds(effective_at),
        from_microseconds(recorded_at),
        recorded_by,
    )


class CustomerRecords(Records):
    """Customers, their agreement bindings and profiles."""

    _current_listing: Listing | None = None

    def add(self, customer: Customer, pseudonym_salt: bytes) -> None:
        """Store a new customer and the salt of its pseudonym."""
        self.add_all([(customer, pseudonym_salt)])

    def add_all(self, customers: Sequence[tuple[Customer, bytes]]) -> None:
        """Store new customers, each with the salt of its pseudonym."""
        if not customers:
            return
        self._session.execute_many(_INSERT_CUSTOMER, [_row_of_customer(customer) for customer, _ in customers])
        self._session.execute_many(_INSERT_SALT, [(customer.id.bytes, salt) for customer, salt in customers])
        SearchDocuments(self._session).add_customers([customer for customer, _ in customers])
        self._directory_changed()

    def get(self, customer_id: UUID) -> Customer | None:
        """Return the customer."""
        row = self._session.one(_CUSTOMER_BY_ID, (customer_id.bytes,))
        return None if row is None else customer_of_row(*row)

    def require(self, customer_id: UUID) -> Customer:
        """Return the customer; raises NotFoundError where there is none."""
        return required("customer", customer_id, self.get(customer_id))

    def save(self, customer: Customer, expected_version: int) -> None:
        """Replace the customer; raises VersionMismatchError."""
        self._replace(
            "customer",
            customer.id,
            expected_version,
            customer.version,
            _CUSTOMER_VERSION,
            _UPDATE_CUSTOMER,
            (
                customer.name,
                customer.language,
                customer.time_zone,
                _NAMES.encode(customer.services),
                _NAMES.encode(customer.regions),
                _NAMES.encode(customer.availability_zones),
                customer.four_eyes,
                customer.acknowledge_within_seconds,
                customer.news_channel.value,
            ),
        )
        SearchDocuments(self._session).put_customer(customer)
        self._directory_changed()

    def page(self, page: Page) -> tuple[list[Customer], str | None]:
        """Return customers by creation, oldest first."""
        after = start_of("customers", page, FIRST)
        rows = self._session.all(_CUSTOMERS_PAGE, (after, page.limit + 1))
        return paged("customers", page, rows, customer_of_row)

    def all(self) -> Sequence[Customer]:
        """Return every customer, oldest first."""
        return self._listing().customers

    def some(self, customer_ids: Collection[UUID]) -> Sequence[Customer]:
        """Return the customers with these ids, by name."""
        if not customer_ids:
            return []
        rows = self._session.all(_some_customers(len(customer_ids)), [each.bytes for each in customer_ids])
        return sorted((customer_of_row(*row) for row in rows), key=lambda each: (each.name.casefold(), each.id))

    def pseudonym(self, customer_id: UUID) -> str:
        """Return the customer's pseudonym in the log; raises NotFoundError where there is no salt."""
        if self._current_listing is not None:
            known = self._current_listing.pseudonyms.get(customer_id)
            if known is not None:
                return known
        row = self._session.one(_SALT, (customer_id.bytes,))
        if row is None:
            raise NotFoundError("customer", customer_id)
        return pseudonym(row[0], customer_id)

    def by_pseudonyms(self, pseudonyms: Collection[str]) -> dict[str, Customer]:
        """Return the customers by their pseudonyms in the log; erased ones are missing."""
        wanted, listing = frozenset(pseudonyms), self._listing()
        found = {customer_id: name for customer_id, name in listing.pseudonyms.items() if name in wanted}
        return {found[item.id]: item for item in listing.customers if item.id in found} if found else {}

    def named(self, part: str, limit: int) -> Sequence[Customer]:
        """Return at most ``limit`` customers whose name contains a text, in any case, oldest first."""
        wanted = part.casefold()
        return list(islice((item for item in self._listing().customers if wanted in item.name.casefold()), limit))

    def salt(self, customer_id: UUID) -> bytes:
        """Return the salt of a customer's pseudonym; raises NotFoundError where there is none."""
        row = self._session.one(_SALT, (customer_id.bytes,))
        if row is None:
            raise NotFoundError("customer", customer_id)
        return bytes(row[0])

    def add_binding(self, binding: AgreementBinding) -> None:
        """Record an agreement binding."""
        self.add_bindings([binding])

    def add_bindings(self, bindings: Sequence[AgreementBinding]) -> None:
        """Record agreement bindings, in this order."""
        if bindings:
            self._session.execute_many(_INSERT_BINDING, map(_row_of_binding, bindings))
            self._directory_changed()

    def bindings(self, customer_id: UUID | None = None) -> Sequence[AgreementBinding]:
        """Return the bindings of one customer, or of all, as recorded."""
        if customer_id is None:
            return self._listing().bindings
        return [binding_of_row(row) for row in self._session.all(_BINDINGS, (customer_id.bytes,))]

    def add_profile(self, profile: ProfileVersion) -> None:
        """Record a profile version."""
        self._session.execute(
            _INSERT_PROFILE,
            (
                profile.id.bytes,
                profile.customer_id.bytes,
                profile.version,
                None if profile.choices is None else _CHOICES.encode(profile.choices),
                to_microseconds(profile.effective_at),
                to_microseconds(profile.recorded_at),
                profile.recorded_by,
            ),
        )
        self._directory_changed()

    def profiles(self, customer_id: UUID | None = None) -> Sequence[ProfileVersion]:
        """Return the profile versions of one customer, or of all, by version."""
        if customer_id is None:
            return self._listing().profiles
        return [profile_of_row(row) for row in self._session.all(_PROFILES, (customer_id.bytes,))]

    def _directory_changed(self) -> None:
        self._session.execute(_NEXT_DIRECTORY_VERSION)
        self._session.directory_changed = True
        self._current_listing = None
        self._changed("customers")

    def _listing(self) -> Listing:
        """Return the directory as this transaction sees it; it is decoded again only after a change."""
        if self._current_listing is None:
            self._current_listing = self._listing_kept() or self._listing_read()
        return self._current_listing

    def _listing_kept(self) -> Listing | None:
        kept = self._session.directory.listing
        return kept if kept is not None and kept.version == self._number(_DIRECTORY_VERSION) else None

    def _listing_read(self) -> Listing:
        salts = [(UUID(bytes=row[0]), row[1]) for row in self._session.all(_ALL_SALTS)]
        listing = Listing(
            version=self._number(_DIRECTORY_VERSION),
            customers=tuple(customer_of_row(*row) for row in self._session.all(_ALL_CUSTOMERS)),
            bindings=tuple(map(binding_of_row, self._session.all(_ALL_BINDINGS))),
            profiles=tuple(map(profile_of_row, self._session.all(_ALL_PROFILES))),
            pseudonyms={customer_id: pseudonym(salt, customer_id) for customer_id, salt in salts},
        )
        # An uncommitted version number can be rolled back and then used for other contents, so it is not cached.
        if not self._session.directory_changed:
            self._session.directory.listing = listing
        return listing
