"""Customers, their contacts, agreement bindings, chosen levels and console inbox."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID
from zoneinfo import available_timezones

from email_validator import EmailNotValidError, validate_email
from fastapi import APIRouter, Request
from pydantic import AfterValidator, Field
from starlette.responses import Response

from notifications.customer import AgreementBinding, Contact, ContactRole, Customer, LevelChoice, ProfileVersion
from notifications.errors import NotFoundError
from notifications.incident import Property
from notifications.ports import Transaction
from notifications.use_cases.act import Act
from notifications.use_cases.dry_run import ProfileDryRun, dry_run_profile
from notifications.use_cases.keep_customers import (
    ContactDraft,
    CustomerDraft,
    add_contact,
    bind_agreement,
    change_contact,
    change_customer,
    choose_profile,
    existing_customer,
    register_customer,
    verify_choices,
)
from service.api.assessment_schemas import DecisionOut, decision_out
from service.api.fields import Code, Language, Line, Moment, Out, Schema
from service.api.requests import (
    Actor,
    Answer,
    Context,
    Cursor,
    IdempotencyKey,
    IfMatch,
    Limit,
    change,
    etag,
    expected_version,
    json_response,
    page_of,
)

router = APIRouter(prefix="/customers", tags=["customers"])

_TIME_ZONES = frozenset(available_timezones())
#: How far a profile dry run looks back.
_LOOK_BACK = timedelta(days=365)


def _time_zone(name: str) -> str:
    if name not in _TIME_ZONES:
        raise ValueError("is no IANA time zone, such as Europe/Paris")
    return name


def _mail_address(address: str) -> str:
    try:
        # No DNS here: an installation without a resolver still takes contacts; delivery tells what is unreachable.
        return validate_email(address, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise ValueError(f"is no mail address: {error}") from None


TimeZone = Annotated[str, Field(max_length=64), AfterValidator(_time_zone)]
MailAddress = Annotated[str, Field(max_length=320), AfterValidator(_mail_address)]


class ChoiceIn(Schema):
    """One choice: every dimension stated must match; what is left empty matches all."""

    impacts: tuple[Code, ...] = ()
    criticalities: tuple[Code, ...] = ()
    priorities: tuple[Code, ...] = ()
    data_harm: tuple[Property, ...] = Field((), description="At least one of these properties of its data is harmed.")

    def to_domain(self) -> LevelChoice:
        """Return the domain record."""
        return LevelChoice(self.impacts, self.criticalities, self.priorities, self.data_harm)


class ProfileIn(Schema):
    """The levels a customer chooses (11.1.1.3)."""

    choices: tuple[ChoiceIn, ...] | None = Field(
        description="Null: the default levels. Empty: only what cannot be waived. Else any match is told.",
        examples=[[{"impacts": ["I1"]}, {"data_harm": ["confidentiality", "integrity"]}]],
    )
    effective_at: Moment | None = Field(
        None, description="From when it applies (to incidents the provider becomes aware of from then on); now if null."
    )


class AgreementIn(Schema):
    """From when the customer is bound to which agreement version (10)."""

    agreement_id: Code = Field(examples=["secnumcloud_iaas_3_0"])
    effective_at: Moment = Field(examples=["2025-02-01T00:00:00+01:00"])


class CustomerIn(Schema):
    """What is stated of a customer."""

    name: Line
    language: Language = "fr"
    time_zone: TimeZone = "Europe/Paris"
    services: tuple[Code, ...] = Field((), description="What it uses; empty means the whole service.")
    regions: tuple[Code, ...] = ()
    availability_zones: tuple[Code, ...] = ()

    def to_domain(self) -> CustomerDraft:
        """Return the domain record."""
        return CustomerDraft(
            self.name, self.language, self.time_zone, self.services, self.regions, self.availability_zones
        )


class NewCustomerIn(CustomerIn):
    """A customer to register, bound to an agreement from a date."""

    agreement: AgreementIn
    profile: ProfileIn | None = Field(
        None, description="Levels chosen at signature; in force from the agreement's date unless it says otherwise."
    )


class ContactIn(Schema):
    """A person or mailbox that notices are served to."""

    name: Line
    role: ContactRole = ContactRole.SECURITY
    email: MailAddress = Field(examples=["rssi@hopital.example"])
    language: Language = "fr"
    order: int = Field(1, ge=1, le=1000, description="Escalation order.")
    active: bool = True

    def to_domain(self) -> ContactDraft:
        """Return the domain record."""
        return ContactDraft(self.name, self.role, self.email, self.language, self.order, self.active)


class CustomerOut(Out):
    """A customer."""

    id: UUID
    name: str
    language: str
    time_zone: str
    services: list[str]
    regions: list[str]
    availability_zones: list[str]
    created_at: Moment
    version: int
    agreements: list["BindingOut"]


class BindingOut(Out):
    """An agreement binding."""

    agreement_id: str
    effective_at: Moment
    recorded_at: Moment


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
    """An incident that the changed profile would have decided otherwise."""

    incident_id: UUID
    ticket: str
    present: DecisionOut
    changed: DecisionOut


class ProfileDryRunOut(Out):
    """What a changed profile would have changed over the last 12 months. Nothing was recorded."""

    incidents_examined: int
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


def _customer_out(customer: Customer, bindings: list[AgreementBinding]) -> CustomerOut:
    return CustomerOut.model_construct(
        id=customer.id,
        name=customer.name,
        language=customer.language,
        time_zone=customer.time_zone,
        services=list(customer.services),
        regions=list(customer.regions),
        availability_zones=list(customer.availability_zones),
        created_at=customer.created_at,
        version=customer.version,
        agreements=[_binding_out(binding) for binding in bindings],
    )


def _binding_out(binding: AgreementBinding) -> BindingOut:
    return BindingOut(
        agreement_id=binding.agreement_id, effective_at=binding.effective_at, recorded_at=binding.recorded_at
    )


def _contact_out(contact: Contact) -> ContactOut:
    return ContactOut.model_validate(contact)


def _profile_out(profile: ProfileVersion) -> ProfileOut:
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


def _choices(profile: ProfileIn) -> tuple[LevelChoice, ...] | None:
    return None if profile.choices is None else tuple(choice.to_domain() for choice in profile.choices)


@router.post("", status_code=201, response_model=CustomerOut, summary="Register a customer")
async def register(
    request: Request, context: Context, actor: Actor, customer: NewCustomerIn, idempotency_key: IdempotencyKey = None
) -> Response:
    """Register a customer, bind it to an agreement version from a date, and record the levels it chose, if any."""

    def work(tx: Transaction, act: Act) -> Answer:
        bound = customer.agreement
        registered = register_customer(
            tx, act, customer.to_domain(), bound.agreement_id, bound.effective_at, context.agreements
        )
        if customer.profile is not None:
            effective_at = customer.profile.effective_at or bound.effective_at
            choose_profile(tx, act, registered.id, _choices(customer.profile), effective_at, context.agreements)
        return Answer(
            _customer_out(registered, list(tx.bindings(registered.id))),
            201,
            {"ETag": etag(1), "Location": f"/api/v1/customers/{registered.id}"},
        )

    return await change(request, context, actor, idempotency_key, work)


@router.get("", response_model=CustomerPage, summary="List customers")
async def list_customers(context: Context, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Return customers by registration, oldest first."""

    def work(tx: Transaction) -> CustomerPage:
        customers, following = tx.customers(page_of(limit, cursor))
        items = [_customer_out(item, list(tx.bindings(item.id))) for item in customers]
        return CustomerPage.model_construct(items=items, next_cursor=following)

    return json_response(await context.unit_of_work.read(work))


@router.get("/{customer_id}", response_model=CustomerOut, summary="Read a customer")
async def read(context: Context, customer_id: UUID) -> Response:
    """Return the customer with its agreement bindings."""
    customer, bindings = await context.unit_of_work.read(
        lambda tx: (existing_customer(tx, customer_id), list(tx.bindings(customer_id)))
    )
    return json_response(_customer_out(customer, bindings), {"ETag": etag(customer.version)})


@router.put("/{customer_id}", response_model=CustomerOut, summary="Change a customer")
async def put(
    request: Request,
    context: Context,
    actor: Actor,
    customer_id: UUID,
    customer: CustomerIn,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Replace what is stated of a customer; agreement and profile have their own history."""

    def work(tx: Transaction, act: Act) -> Answer:
        version = expected_version(if_match, lambda: existing_customer(tx, customer_id).version)
        changed = change_customer(tx, act, customer_id, version, customer.to_domain())
        return Answer(_customer_out(changed, list(tx.bindings(customer_id))), headers={"ETag": etag(changed.version)})

    return await change(request, context, actor, idempotency_key, work)


@router.post("/{customer_id}/agreements", status_code=201, response_model=BindingOut, summary="Bind to an agreement")
async def bind(
    request: Request,
    context: Context,
    actor: Actor,
    customer_id: UUID,
    binding: AgreementIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Bind the customer to an agreement version from a date (10)."""

    def work(tx: Transaction, act: Act) -> Answer:
        bound = bind_agreement(tx, act, customer_id, binding.agreement_id, binding.effective_at, context.agreements)
        return Answer(_binding_out(bound), 201)

    return await change(request, context, actor, idempotency_key, work)


@router.get("/{customer_id}/agreements", response_model=BindingList, summary="Agreement bindings")
async def list_bindings(context: Context, customer_id: UUID) -> Response:
    """Return every binding of the customer."""

    def work(tx: Transaction) -> BindingList:
        existing_customer(tx, customer_id)
        return BindingList.model_construct(items=[_binding_out(item) for item in tx.bindings(customer_id)])

    return json_response(await context.unit_of_work.read(work))


@router.post("/{customer_id}/contacts", status_code=201, response_model=ContactOut, summary="Add a contact")
async def add(
    request: Request,
    context: Context,
    actor: Actor,
    customer_id: UUID,
    contact: ContactIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Add a contact that notices are served to, each by its own mail."""

    def work(tx: Transaction, act: Act) -> Answer:
        added = add_contact(tx, act, customer_id, contact.to_domain())
        return Answer(_contact_out(added), 201, {"ETag": etag(added.version)})

    return await change(request, context, actor, idempotency_key, work)


@router.get("/{customer_id}/contacts", response_model=ContactList, summary="Contacts of a customer")
async def list_contacts(context: Context, customer_id: UUID) -> Response:
    """Return the contacts by escalation order."""

    def work(tx: Transaction) -> ContactList:
        existing_customer(tx, customer_id)
        return ContactList.model_construct(items=[_contact_out(item) for item in tx.contacts(customer_id)])

    return json_response(await context.unit_of_work.read(work))


def _contact_of(tx: Transaction, customer_id: UUID, contact_id: UUID) -> Contact:
    contact = tx.contact(contact_id)
    if contact is None or contact.customer_id != customer_id:
        raise NotFoundError("contact", contact_id)
    return contact


@router.get("/{customer_id}/contacts/{contact_id}", response_model=ContactOut, summary="Read a contact")
async def read_contact(context: Context, customer_id: UUID, contact_id: UUID) -> Response:
    """Return one contact."""
    contact = await context.unit_of_work.read(lambda tx: _contact_of(tx, customer_id, contact_id))
    return json_response(_contact_out(contact), {"ETag": etag(contact.version)})


@router.put("/{customer_id}/contacts/{contact_id}", response_model=ContactOut, summary="Change a contact")
async def put_contact(
    request: Request,
    context: Context,
    actor: Actor,
    customer_id: UUID,
    contact_id: UUID,
    contact: ContactIn,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Replace what is stated of a contact; `active: false` takes it out of service and keeps its record."""

    def work(tx: Transaction, act: Act) -> Answer:
        version = expected_version(if_match, lambda: _contact_of(tx, customer_id, contact_id).version)
        changed = change_contact(tx, act, customer_id, contact_id, version, contact.to_domain())
        return Answer(_contact_out(changed), headers={"ETag": etag(changed.version)})

    return await change(request, context, actor, idempotency_key, work)


@router.post("/{customer_id}/profiles", status_code=201, response_model=ProfileOut, summary="Choose levels")
async def choose(
    request: Request,
    context: Context,
    actor: Actor,
    customer_id: UUID,
    profile: ProfileIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Record the levels the customer chose, from a moment on; earlier versions stay, and stay in force until then."""

    def work(tx: Transaction, act: Act) -> Answer:
        chosen = choose_profile(
            tx, act, customer_id, _choices(profile), profile.effective_at or act.now, context.agreements
        )
        return Answer(_profile_out(chosen), 201)

    return await change(request, context, actor, idempotency_key, work)


@router.get("/{customer_id}/profiles", response_model=ProfileList, summary="Profile versions")
async def list_profiles(context: Context, customer_id: UUID) -> Response:
    """Return every profile version of the customer; none means that the default levels apply."""

    def work(tx: Transaction) -> ProfileList:
        existing_customer(tx, customer_id)
        return ProfileList.model_construct(items=[_profile_out(item) for item in tx.profiles(customer_id)])

    return json_response(await context.unit_of_work.read(work))


@router.post("/{customer_id}/profiles/dry-run", response_model=ProfileDryRunOut, summary="What would change")
async def dry_run(context: Context, customer_id: UUID, profile: ProfileIn) -> Response:
    """Return which incidents of the last 12 months the customer would have been told of otherwise."""
    since = context.clock.now() - _LOOK_BACK

    def work(tx: Transaction) -> tuple[Customer, ProfileDryRun]:
        customer = existing_customer(tx, customer_id)
        verify_choices(tx, customer_id, _choices(profile), context.agreements)
        return customer, dry_run_profile(tx, customer_id, _choices(profile), since, context.agreements)

    customer, result = await context.unit_of_work.read(work)
    told = [(now.verdict.value == "notify", then.verdict.value == "notify") for _, now, then in result.differing]
    return json_response(
        ProfileDryRunOut.model_construct(
            incidents_examined=result.examined,
            more_notices=sum(then and not now for now, then in told),
            fewer_notices=sum(now and not then for now, then in told),
            differences=[
                ProfileDifferenceOut.model_construct(
                    incident_id=incident.id,
                    ticket=incident.ticket,
                    present=decision_out(customer, now),
                    changed=decision_out(customer, then),
                )
                for incident, now, then in result.differing
            ],
        )
    )


@router.get("/{customer_id}/inbox", response_model=InboxPage, summary="Console inbox")
async def inbox(context: Context, customer_id: UUID, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Return the notices placed in the customer's console, newest first."""

    def work(tx: Transaction) -> InboxPage:
        existing_customer(tx, customer_id)
        items, following = tx.inbox(customer_id, page_of(limit, cursor))
        return InboxPage.model_construct(
            items=[
                InboxItemOut(
                    notice_id=item.notice_id,
                    placed_at=item.placed_at,
                    document=f"/api/v1/notices/{item.notice_id}/document",
                )
                for item in items
            ],
            next_cursor=following,
        )

    return json_response(await context.unit_of_work.read(work))
