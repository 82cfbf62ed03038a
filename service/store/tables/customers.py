"""Customers, their agreement bindings, profiles and contacts."""

from sqlalchemy import Index
from sqlmodel import SQLModel

from service.store.tables import columns


class CustomerRow(SQLModel, table=True):
    """``notifications.customer.records.Customer``."""

    __tablename__ = "customers"
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    name: str = columns.text()
    language: str = columns.text()
    time_zone: str = columns.text()
    services: str = columns.text()
    regions: str = columns.text()
    availability_zones: str = columns.text()
    created_at: int = columns.integer()
    version: int = columns.integer()
    four_eyes: bool = columns.boolean()
    acknowledge_within_seconds: int | None = columns.integer(nullable=True)
    news_channel: str = columns.text()


class CustomerSaltRow(SQLModel, table=True):
    """The salt of a customer's pseudonym in the log; erasing it removes the link between customer and log."""

    __tablename__ = "customer_salts"
    customer_id: bytes = columns.identifier("customers.id", primary_key=True)
    salt: bytes = columns.binary()


class AgreementBindingRow(SQLModel, table=True):
    """``notifications.customer.records.AgreementBinding``."""

    __tablename__ = "agreement_bindings"
    position: int | None = columns.position()
    customer_id: bytes = columns.identifier("customers.id", index=True)
    agreement_id: str = columns.text()
    effective_at: int = columns.integer()
    recorded_at: int = columns.integer()
    dpa_id: str | None = columns.text(nullable=True)
    products: str | None = columns.text(nullable=True)


class ProfileRow(SQLModel, table=True):
    """``notifications.customer.records.ProfileVersion``."""

    __tablename__ = "profiles"
    __table_args__ = (Index("uq_profiles_customer_id_version", "customer_id", "version", unique=True),)
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    customer_id: bytes = columns.identifier("customers.id")
    version: int = columns.integer()
    choices: str | None = columns.text(nullable=True)
    effective_at: int = columns.integer()
    recorded_at: int = columns.integer()
    recorded_by: str = columns.text()


class ContactRow(SQLModel, table=True):
    """``notifications.customer.records.Contact``."""

    __tablename__ = "contacts"
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    customer_id: bytes = columns.identifier("customers.id", index=True)
    name: str = columns.text()
    role: str = columns.text()
    email: str = columns.text()
    language: str = columns.text()
    order: int = columns.integer()
    active: bool = columns.boolean()
    created_at: int = columns.integer()
    version: int = columns.integer()
    time_zone: str | None = columns.text(nullable=True)
    fallback: bool = columns.boolean()
    mail_content: str = columns.text()
    smime_certificate: bytes | None = columns.binary(nullable=True)
    verified_at: int | None = columns.integer(nullable=True)
    phone: str | None = columns.text(nullable=True)
    takes_exercises: bool = columns.boolean()


class DirectoryVersionRow(SQLModel, table=True):
    """One row with a number that every change of customers, bindings or profiles increases; caches compare it."""

    __tablename__ = "directory_version"
    id: int = columns.integer(primary_key=True)
    version: int = columns.integer()
