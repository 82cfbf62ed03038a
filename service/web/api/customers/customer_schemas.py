"""Schemas of customers, their contacts, agreement bindings, chosen levels and console inbox."""

import hashlib
import re
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Literal
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field, StringConstraints

from notifications.customer.records import (
    AgreementBinding,
    Contact,
    ContactRole,
    Customer,
    LevelChoice,
    MailContent,
    NewsChannel,
    ProfileVersion,
)
from notifications.incident import Property
from notifications.mail.enveloped import certificate_expires_at, certificate_pem, parse_certificate
from notifications.mail.mail_form import mail_form
from notifications.mail_address import a_label_address
from notifications.use_cases.customers.customer_entries import ContactDraft, CustomerDraft
from service.web.api.fields import Code, CountedMoment, Language, Line, Moment, Out, Schema, TimeZone
from service.web.api.incidents.assessment_schemas import DecisionOut

#: A local part that is valid and its own normal form, whatever follows it.
_PLAIN_LOCAL_PART = re.compile(r"[a-z0-9_+-]{1,64}(?:\.[a-z0-9_+-]{1,64})*")
#: Longest local part, and longest address (RFC 5321, 4.5.3.1).
_MAX_LOCAL_PART, _MAX_ADDRESS = 64, 254


def mail_address(address: str) -> str:
    """Return the address in its stored form, which is also the form in mails (``notifications.mail_address``).

    A domain is validated once if what precedes it is plain: most of the work is about the domain, and an import has
    many addresses of one domain. Raises ValueError.
    """
    local_part, at, domain = address.partition("@")
    if at and len(local_part) <= _MAX_LOCAL_PART and _PLAIN_LOCAL_PART.fullmatch(local_part):
        found = _domain_of_mail(domain)
        if found is not None and len(local_part) + len(found) < _MAX_ADDRESS:
            return f"{local_part}@{found}"
    return validated_address(address)


@lru_cache(maxsize=1024)
def _domain_of_mail(domain: str) -> str | None:
    """Return a domain in its stored form; None if it has none."""
    try:
        return validated_address(f"a@{domain}").removeprefix("a@")
    except ValueError:
        return None


def validated_address(address: str) -> str:
    """As ``mail_address``, without anything that is known of the domain."""
    try:
        # No DNS query here, so an installation without a resolver accepts contacts too.
        return a_label_address(validate_email(address, check_deliverability=False, test_environment=True).normalized)
    except EmailNotValidError as error:
        raise ValueError(f"is no mail address: {error}") from None


#: Limits of the time for an acknowledgement: a shorter time is impossible to meet, a longer one is useless.
MIN_ACKNOWLEDGE_SECONDS, MAX_ACKNOWLEDGE_SECONDS = 60, 30 * 24 * 3600

#: A telephone number as people write it, in E.164 if possible; never a text.
Phone = Annotated[
    str, StringConstraints(max_length=40, strip_whitespace=True, pattern=r"^[+(]?[0-9][0-9 ().,/x#*-]{2,38}$")
]
MailAddress = Annotated[str, Field(max_length=320), AfterValidator(mail_address)]


class ChoiceIn(Schema):
    """One choice: every stated dimension must match; an empty dimension matches everything."""

    impacts: tuple[Code, ...] = ()
    criticalities: tuple[Code, ...] = ()
    priorities: tuple[Code, ...] = ()
    data_harm: tuple[Property, ...] = Field(
        default=(), description="At least one of these properties of its data is harmed."
    )

    def to_domain(self) -> LevelChoice:
        """Return the domain record."""
        return LevelChoice(self.impacts, self.criticalities, self.priorities, self.data_harm)


class ProfileIn(Schema):
    """The levels that a customer chooses."""

    choices: tuple[ChoiceIn, ...] | None = Field(
        description="Null: the default levels. Empty: only what cannot be waived. Else every match is notified.",
        examples=[[{"impacts": ["I1"]}, {"data_harm": ["confidentiality", "integrity"]}]],
    )
    effective_at: CountedMoment | None = Field(
        default=None,
        description="From when it applies (to incidents the provider becomes aware of from then on); now if null.",
    )


class AgreementIn(Schema):
    """What binds the customer from a moment on: an agreement version, a DPA version and the products ordered."""

    agreement_id: Code = Field(examples=["secnumcloud_iaas_3_0"])
    effective_at: CountedMoment = Field(examples=["2025-02-01T00:00:00+01:00"])
    dpa_id: Code | None = Field(
        default=None,
        description=(
            "Null: as in the binding to the same agreement that is in force then; without one, the DPA that the"
            " agreement names."
        ),
        examples=["dpa_2026_01_09"],
    )
    products: tuple[Code, ...] | None = Field(
        default=None,
        description=(
            "Products of the agreement that the customer ordered. Null: as in the binding to the same agreement that is"
            " in force then; without one, all products."
        ),
        examples=[["iaas", "paas"]],
    )


class CustomerIn(Schema):
    """The fields of a customer that a caller states."""

    name: Line
    language: Language = "fr"
    time_zone: TimeZone = "Europe/Paris"
    services: tuple[Code, ...] = Field((), description="What it uses; empty means the whole service.")
    regions: tuple[Code, ...] = ()
    availability_zones: tuple[Code, ...] = ()
    four_eyes: bool = Field(default=False, description="A person other than the last author must release its notices.")
    acknowledge_within_seconds: int | None = Field(
        None,
        ge=MIN_ACKNOWLEDGE_SECONDS,
        le=MAX_ACKNOWLEDGE_SECONDS,
        description="Time after the sealing to acknowledge a notice; after it, the customer is asked again."
        " Null: no acknowledgement is wanted.",
    )
    news_channel: NewsChannel = Field(
        NewsChannel.SAME,
        description="Where news of the handling comes, as its notices say. `same`: by every channel that carried the"
        " notice. `console`: in the customer interface, and by e-mail only if nobody opens it there within a day."
        " `email`: by e-mail to the contacts. First notices and corrections use every channel.",
    )

    def to_domain(self) -> CustomerDraft:
        """Return the domain record."""
        return CustomerDraft(
            self.name,
            self.language,
            self.time_zone,
            self.services,
            self.regions,
            self.availability_zones,
            self.four_eyes,
            self.acknowledge_within_seconds,
            self.news_channel,
        )


class NewCustomerIn(CustomerIn):
    """A customer to register, bound to an agreement from a date."""

    agreement: AgreementIn
    profile: ProfileIn | None = Field(
        None, description="Levels chosen at signature; in force from the agreement's date unless it says otherwise."
    )


class ContactIn(Schema):
    """A person or mailbox that notices are sent to."""

    name: Line
    role: ContactRole = ContactRole.SECURITY
    email: MailAddress = Field(examples=["rssi@hopital.example"])
    language: Language = "fr"
    order: int = Field(1, ge=1, le=1000, description="Escalation order.")
    active: bool = True
    time_zone: TimeZone | None = Field(None, description="Of the times in its notices; null for the customer's.")
    fallback: bool = Field(default=False, description="Served only while the customer has no other active contact.")
    mail_content: MailContent = Field(
        MailContent.FULL,
        description=(
            "`full`: the notice, encrypted where there is a certificate; `summary`: that there is one and where to read"
            " it; `ticket_and_criticality`, `ticket_only`: no more than that, and where to read the notice;"
            " `encrypted_only`: the notice encrypted, a summary while there is no usable certificate."
        ),
    )
    smime_certificate: str | None = Field(
        None, max_length=20_000, description="X.509 certificate in PEM (RSA, e-mail protection) to encrypt mails to."
    )
    address_confirmed: bool = Field(
        default=False,
        description="Confirmed by another way than the mailed link. Needs permission to change customers.",
    )
    phone: Phone | None = Field(
        None,
        description="To be called where nothing else reaches the customer in time.",
        examples=["+33 1 23 45 67 89"],
    )
    takes_exercises: bool = Field(
        default=False, description="Agreed to get the notices of exercises; nobody else gets one."
    )

    def to_domain(self) -> ContactDraft:
        """Return the domain record; raises InvalidInputError if the certificate cannot be read."""
        return ContactDraft(
            name=self.name,
            role=self.role,
            email=self.email,
            language=self.language,
            order=self.order,
            active=self.active,
            time_zone=self.time_zone,
            fallback=self.fallback,
            mail_content=self.mail_content,
            smime_certificate=None if self.smime_certificate is None else parse_certificate(self.smime_certificate),
            address_confirmed=self.address_confirmed,
            phone=self.phone,
            takes_exercises=self.takes_exercises,
        )


class CustomerOut(Out):
    """A customer."""

    id: UUID
    name: str
    language: str
    time_zone: str
    services: list[str]
    regions: list[str]
    availability_zones: list[str]
    four_eyes: bool
    acknowledge_within_seconds: int | None
    news_channel: NewsChannel
    created_at: Moment
    version: int
    agreements: list["BindingOut"]


class BindingOut(Out):
    """An agreement binding."""

    agreement_id: str
    effective_at: Moment
    recorded_at: Moment
    dpa_id: str | None = Field(description="Null: the DPA that the agreement names for the day.")
    products: list[str] | None = Field(description="Null: all products of the agreement.")


class ContactOut(Out):
    """A contact."""

    id: UUID
    customer_id: UUID
    name: str
    role: str
    email: str
    language: str
    order: int
    active: bool
    time_zone: str | None
    fallback: bool
    mail_content: str
    smime_certificate: str | None = Field(description="PEM.")
    certificate_expires_at: Moment | None
    certificate_sha256: str | None = Field(description="Its fingerprint, in hex, to compare by another way.")
    certificate_fault: str | None = Field(description="Why the certificate does not serve now; null where it does.")
    verified_at: Moment | None = Field(
        description="When the address was confirmed; until then its mails are summaries, for it may be a stranger's."
    )
    mail_form: str = Field(description="What its mails are now: `full`, `encrypted` or `summary`.")
    mail_form_reason: str = Field(
        description="`chosen`, `address_unconfirmed`, `no_certificate` or `certificate_unusable`; of one delivery, also"
        " `too_large` (in the log)."
    )
    phone: str | None
    takes_exercises: bool = Field(description="Agreed to get the notices of exercises.")
    created_at: Moment
    version: int


class ProfileOut(Out):
    """A profile version."""

    version: int
    choices: list[ChoiceIn] | None
    effective_at: Moment
    recorded_at: Moment
    recorded_by: str


class CustomerPage(Out):
    """A page of customers."""

    items: list[CustomerOut]
    next_cursor: str | None


class ContactList(Out):
    """The contacts of a customer, by escalation order."""

    items: list[ContactOut]


class ProfileList(Out):
    """The profile versions of a customer."""

    items: list[ProfileOut]


class BindingList(Out):
    """The agreement bindings of a customer."""

    items: list[BindingOut]


class ProfileDifferenceOut(Out):
    """An incident for which the changed profile would have given another decision.

    Only callers who may read incidents see which incident it is and why. Other callers learn of no incident here.
    """

    aware_at: Moment
    notice: Literal["more", "fewer", "same"] = Field(
        description="Whether there would have been a notice more or fewer; `same` where only an open question differs."
    )
    incident_id: UUID | None = None
    ticket: str | None = None
    present: DecisionOut | None = None
    changed: DecisionOut | None = None


class ProfileDryRunOut(Out):
    """The effect that a changed profile would have had over the last 12 months. A dry run records nothing."""

    since: Moment
    incidents_examined: int | None = Field(description="Null for those who may not read incidents.")
    more_notices: int
    fewer_notices: int
    differences: list[ProfileDifferenceOut]


class InboxItemOut(Out):
    """A notice in the customer's console."""

    notice_id: UUID
    placed_at: Moment
    document: str = Field(description="Path of the signed document.")


class InboxPage(Out):
    """The console inbox of a customer, newest first."""

    items: list[InboxItemOut]
    next_cursor: str | None


def customer_out(customer: Customer, bindings: list[AgreementBinding]) -> CustomerOut:
    """Return the schema of a customer."""
    return CustomerOut.model_construct(
        id=customer.id,
        name=customer.name,
        language=customer.language,
        time_zone=customer.time_zone,
        services=list(customer.services),
        regions=list(customer.regions),
        availability_zones=list(customer.availability_zones),
        four_eyes=customer.four_eyes,
        acknowledge_within_seconds=customer.acknowledge_within_seconds,
        news_channel=customer.news_channel,
        created_at=customer.created_at,
        version=customer.version,
        agreements=[binding_out(binding) for binding in bindings],
    )


def binding_out(binding: AgreementBinding) -> BindingOut:
    """Return the schema of an agreement binding."""
    return BindingOut(
        agreement_id=binding.agreement_id,
        effective_at=binding.effective_at,
        recorded_at=binding.recorded_at,
        dpa_id=binding.dpa_id,
        products=None if binding.products is None else list(binding.products),
    )


def contact_out(contact: Contact, now: datetime) -> ContactOut:
    """Return the schema of a contact, with the present form of its mails."""
    certificate, decision = contact.smime_certificate, mail_form(contact, now)
    return ContactOut.model_construct(
        id=contact.id,
        customer_id=contact.customer_id,
        name=contact.name,
        role=contact.role.value,
        email=contact.email,
        language=contact.language,
        order=contact.order,
        active=contact.active,
        time_zone=contact.time_zone,
        fallback=contact.fallback,
        mail_content=contact.mail_content.value,
        smime_certificate=None if certificate is None else certificate_pem(certificate),
        certificate_expires_at=None if certificate is None else certificate_expires_at(certificate),
        certificate_sha256=None if certificate is None else hashlib.sha256(certificate).hexdigest(),
        certificate_fault=decision.certificate_fault,
        verified_at=contact.verified_at,
        mail_form=decision.form.value,
        mail_form_reason=decision.reason.value,
        phone=contact.phone,
        takes_exercises=contact.takes_exercises,
        created_at=contact.created_at,
        version=contact.version,
    )


def profile_out(profile: ProfileVersion) -> ProfileOut:
    """Return the schema of a profile version."""
    choices = (
        None
        if profile.choices is None
        else [
            ChoiceIn(
                impacts=choice.impacts,
                criticalities=choice.criticalities,
                priorities=choice.priorities,
                data_harm=choice.data_harm,
            )
            for choice in profile.choices
        ]
    )
    return ProfileOut(
        version=profile.version,
        choices=choices,
        effective_at=profile.effective_at,
        recorded_at=profile.recorded_at,
        recorded_by=profile.recorded_by,
    )


def choices(profile: ProfileIn) -> tuple[LevelChoice, ...] | None:
    """Return the choices of a profile as domain records; None for the default levels."""
    return None if profile.choices is None else tuple(choice.to_domain() for choice in profile.choices)
