"""Schemas of agreements and DPAs as data, each part with its clause."""

from pydantic import Field

from service.web.api.fields import Out


class ScaleLevelOut(Out):
    """A level of impact or criticality."""

    id: str
    clause: str
    text: dict[str, str]
    products: list[str] | None


class PriorityOut(Out):
    """A priority and its support commitment."""

    id: str
    clause: str
    text: dict[str, str]
    gti_seconds: int | None = Field(
        description="Guaranteed time to first intervention, from the opening of the ticket; null: none is guaranteed."
    )
    target_percent: int | None
    products: list[str] | None


class LevelOut(Out):
    """A rule by which a customer is notified."""

    id: str
    clause: str
    text: dict[str, str]
    waivable: bool = Field(description="Whether a chosen profile takes its place.")
    deadline: str | None = Field(
        description="Id of the deadline that counts: the shortest of `deadlines`; null where the contract names none."
    )
    deadlines: list[str] = Field(description="Ids of all deadlines it sets.")
    products: list[str] | None = Field(description="The products that it holds for; null: all.")


class LimbOut(Out):
    """One limb of a definition."""

    id: str
    clause: str
    text: dict[str, str]


class DefinitionOut(Out):
    """The definition of one nature. Definitions are tried in this order; the first that holds is the nature."""

    nature: str
    clause: str
    title: dict[str, str]
    text: dict[str, str]
    limbs: list[LimbOut]
    exclusions: list[LimbOut]


class DeadlineOut(Out):
    """A deadline of a notice, counted from awareness."""

    id: str
    clause: str
    text: dict[str, str]
    seconds: int | None = Field(description="Null exactly if `binding` is `no_number`.")
    binding: str = Field(description="`hard`, `soft` (to meet where possible) or `no_number`.")
    certain_only: bool = Field(description="It holds for a breach that is certain, and not for a suspicion.")


class ProductOut(Out):
    """A service that customers order."""

    id: str
    title: dict[str, str]


class ValidityOut(Out):
    """The days on which a text holds, both included."""

    from_on: str
    until_on: str | None


class DocumentOut(Out):
    """A contract document; the earlier one in the list prevails."""

    id: str
    title: dict[str, str]
    source: dict[str, str] = Field(description="Where its place in the list comes from.")


class DpaPeriodOut(Out):
    """The DPA by default, on some days."""

    dpa_id: str
    validity: ValidityOut


class SupportHoursOut(Out):
    """When support is given."""

    clause: str
    days: list[str]
    from_at: str
    until_at: str
    time_zone: str
    holidays: str = Field(description="Country whose public holidays are no support days.")


class RetentionOut(Out):
    """How long records are kept, at least."""

    id: str
    clause: str
    text: dict[str, str]
    months: int
    products: list[str] | None


class ServiceLevelOut(Out):
    """A service level."""

    id: str
    clause: str
    text: dict[str, str]
    indicator: str | None
    products: list[str] | None


class NoticeTimeOut(Out):
    """When a notice of another kind is owed."""

    days: int | None
    months: int | None
    day_count: str
    binding: str
    clause: str | None = Field(description="The clause that says so; null: that of the kind of notice.")


class NoticeItemOut(Out):
    """One thing that a notice of another kind says."""

    id: str
    text: dict[str, str]
    mandatory: bool
    clause: str | None = Field(description="The clause that says so; null: that of the kind of notice.")


class NoticeKindOut(Out):
    """A kind of notice beside that of incidents."""

    id: str
    clause: str
    title: dict[str, str]
    channels: list[str]
    items: list[NoticeItemOut]
    lead: NoticeTimeOut | None
    after: NoticeTimeOut | None
    dpa_time: NoticeTimeOut | None = Field(
        description="Of an agreement: the time that its DPA sets beside `lead` or `after`. The stricter counts."
    )
    consent_first: bool
    products: list[str] | None
    erased_within_days: int | None = Field(
        description="Of the notice that precedes an erasure: days after it within which all is erased; else null."
    )
    served_at_first_presentation: bool = Field(
        description="Whether a registered letter that was returned counts as served when it was first presented."
    )


class DoubtOut(Out):
    """A place of the text that can be read in two ways, and how it is read here."""

    id: str
    clause: str
    text: dict[str, str]


class ItemOut(Out):
    """One thing that a notice says."""

    id: str
    text: dict[str, str]


class OtherTimeOut(Out):
    """A time of the DPA other than that of a notice."""

    id: str
    clause: str
    text: dict[str, str]
    hours: int | None
    days: int | None
    months: int | None
    calendar: str


class DpaOut(Out):
    """A version of the data-protection annex (DPA)."""

    id: str
    version: str
    dated_on: str
    title: dict[str, str]
    authoritative_language: str
    validity: ValidityOut
    deadlines: list[DeadlineOut]
    levels: list[LevelOut]
    breach_items: list[ItemOut] = Field(description="What the notice of a personal-data breach says.")
    other_times: list[OtherTimeOut]
    notices: list[NoticeKindOut] = Field(
        description="Kinds of notice that it owes beside the agreement; one that both have is one kind."
    )
    clauses: dict[str, dict[str, str]]


class AgreementOut(Out):
    """An agreement version, joined with the DPA that it names last."""

    id: str
    version: str
    dated_on: str
    title: dict[str, str]
    definitions: list[DefinitionOut]
    impacts: list[ScaleLevelOut]
    criticalities: list[ScaleLevelOut]
    matrix: dict[str, dict[str, str]] = Field(description="Criticality to impact to priority.")
    priorities: list[PriorityOut]
    default_levels: list[LevelOut]
    plain_incident: LevelOut
    deadlines: list[DeadlineOut]
    legal_clocks: list[object] = Field(
        default_factory=list, deprecated=True, description="Always empty: legal duties are no part of an agreement."
    )
    four_eyes: bool = Field(description="Whether a person other than the last author must release notices.")
    four_eyes_clause: str | None = Field(description="The clause that says so; null where none does.")
    clauses: dict[str, dict[str, str]] = Field(description="Clause number to its plain wording, by language.")
    clause_products: dict[str, list[str]] = Field(description="The clauses that hold for some products only.")
    references: dict[str, str] = Field(description="Role of a clause to the number that notices and pages cite.")
    authoritative_language: str | None
    validity: ValidityOut | None
    products: list[ProductOut]
    matrix_products: list[str] | None = Field(description="The products that have the matrix; null: all.")
    documents: list[DocumentOut] = Field(description="In order of precedence.")
    dpa_id: str | None = Field(description="The DPA joined here; null: the agreement contains its DPA.")
    dpa_periods: list[DpaPeriodOut]
    support_hours: SupportHoursOut | None
    retention: list[RetentionOut]
    service_levels: list[ServiceLevelOut]
    notices: list[NoticeKindOut]
    doubts: list[DoubtOut]


class AgreementList(Out):
    """The agreement versions of this installation."""

    items: list[AgreementOut]
    dpas: list[DpaOut] = Field(description="The versions of the data-protection annex (DPA).")
    reference_id: str = Field(description="The one by which the provider itself reads an incident.")
