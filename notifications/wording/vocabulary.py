"""Texts for identifiers: enum values, facts, reasons, remarks."""

import re
from collections.abc import Mapping

from notifications.wording.catalogues import translate


def N_(message: str) -> str:  # noqa: N802 -- the name that extractors of messages look for
    """Mark a message for extraction; it is translated later, where it is shown."""
    return message


_MESSAGES = {
    # Coded values, by kind.
    "answer.yes": N_("yes"),
    "answer.no": N_("no"),
    "answer.unknown": N_("not known yet"),
    "nature.security_incident": N_("security incident"),
    "nature.incident": N_("incident"),
    "nature.event": N_("event"),
    "nature.outside_perimeter": N_("event outside the perimeter of the service"),
    "verdict.notify": N_("to be notified"),
    "verdict.do_not_notify": N_("not to be notified"),
    "verdict.pending": N_("open until a fact is known"),
    "due.hard": N_("limit under the agreement"),
    "due.soft": N_("time to meet where possible under the agreement"),
    "due.no_number": N_("internal target of the provider, not a time of the agreement"),
    "due.announced": N_("before it, the agreement names no number of days"),
    "past.hard": N_("Late: the limit has passed."),
    "past.soft": N_("After the time aimed at."),
    "past.no_number": N_("After the provider's own target."),
    # As documents of earlier releases state it, whose agreement said "where possible".
    "due.contractual": N_("time to meet where possible under the agreement"),
    "due.internal_target": N_("internal target of the provider, not a time of the agreement"),
    "kind.initial": N_("Initial notice"),
    "kind.update": N_("Update"),
    "kind.correction": N_("Correction"),
    "kind.final": N_("Final notice"),
    "property.availability": N_("availability"),
    "property.integrity": N_("integrity"),
    "property.confidentiality": N_("confidentiality"),
    "property.traceability": N_("traceability"),
    "intent.malicious": N_("malicious"),
    "intent.accidental": N_("accidental"),
    "intent.unknown": N_("not known yet"),
    "cause.hardware_failure": N_("hardware failure"),
    "cause.bug": N_("software bug"),
    "cause.malfunction": N_("malfunction"),
    "cause.natural_disaster": N_("natural disaster"),
    "cause.human_error": N_("human error"),
    "cause.attack": N_("attack"),
    "cause.unknown": N_("not known yet"),
    "breach.no": N_("no breach"),
    "breach.rule_suspected": N_("no breach; a data-protection rule is suspected to be broken"),
    "breach.rule_broken": N_("no breach; a data-protection rule is broken"),
    "breach.suspected": N_("suspected, not confirmed yet"),
    "breach.confirmed": N_("confirmed"),
    "breach.unknown": N_("not known yet"),
    "controller.customer": N_("you (the customer)"),
    "controller.provider": N_("the provider"),
    "controller.joint": N_("you and the provider jointly"),
    "controller.unknown": N_("not known yet"),
    "resource.tenant": N_("tenant"),
    "resource.machine": N_("machine"),
    "resource.volume": N_("volume"),
    "resource.object": N_("object"),
    "resource.network": N_("network"),
    "resource.account": N_("account"),
    "language.fr": N_("French"),
    "language.en": N_("English"),
    "language.de": N_("German"),
    "tlp.TLP:RED": N_("for the named recipients only: do not pass it on to anybody"),
    "tlp.TLP:AMBER+STRICT": N_("within your organisation only, where people need to know"),
    "tlp.TLP:AMBER": N_("within your organisation and its clients, where people need to know"),
    "tlp.TLP:GREEN": N_("within your community; not to be published"),
    "tlp.TLP:CLEAR": N_("may be passed on freely"),
    "told.profile": N_("The security incident is of a level that you chose to be told of."),
    # Facts, as a notice to one customer names them.
    "fact.classification.nature": N_("Classification by the agreement"),
    "fact.classification.priority": N_("Priority"),
    "fact.inside_perimeter": N_("Whether the event lies inside the perimeter of the service"),
    "fact.intent": N_("Intent of the event (malicious or accidental)"),
    "fact.cause": N_("Cause of the event"),
    "fact.service_harm.availability": N_("Harm to the availability of the service"),
    "fact.service_harm.integrity": N_("Harm to the integrity of the service"),
    "fact.service_harm.confidentiality": N_("Harm to the confidentiality of the service"),
    "fact.service_harm.traceability": N_("Harm to the traceability of the service"),
    "fact.security_measures_harmed": N_("Harm to existing security measures"),
    "fact.normal_operation_disrupted": N_("Disruption of the normal operation of the service"),
    "fact.service_level_breached": N_("Whether a service level is not met"),
    "fact.damage_to_customer": N_("Whether a customer suffered damage"),
    "fact.may_cause": N_("Whether the event may still cause a disturbance, damage, or a breach of service levels"),
    "fact.impact": N_("Impact level"),
    "fact.criticality": N_("Criticality level"),
    "fact.rsit_class": N_("Class in the RSIT taxonomy"),
    "fact.rsit_type": N_("Type in the RSIT taxonomy"),
    "fact.tlp": N_("TLP marking"),
    "fact.services": N_("Services affected that you use"),
    "fact.regions": N_("Regions affected that you use"),
    "fact.availability_zones": N_("Availability zones affected that you use"),
    "fact.started_at": N_("When the event began"),
    "fact.detected_at": N_("When the event was detected"),
    "fact.aware_at": N_("When the provider became aware"),
    "fact.ended_at": N_("Whether and when the event ended"),
    "fact.affected": N_("Whether your use of the service is affected"),
    "fact.data_harm.availability": N_("Harm to the availability of your data"),
    "fact.data_harm.integrity": N_("Harm to the integrity of your data"),
    "fact.data_harm.confidentiality": N_("Harm to the confidentiality of your data"),
    "fact.data_harm.traceability": N_("Harm to the traceability of your data"),
    "fact.affected_customers.data_harm.availability": N_("Harm to the availability of customers' data"),
    "fact.affected_customers.data_harm.integrity": N_("Harm to the integrity of customers' data"),
    "fact.affected_customers.data_harm.confidentiality": N_("Harm to the confidentiality of customers' data"),
    "fact.affected_customers.data_harm.traceability": N_("Harm to the traceability of customers' data"),
    "fact.unlisted_customers": N_("Full extent of the event among the users of the service"),
    "fact.resources_count": N_("Number of your resources affected"),
    "fact.personal_data.breach": N_("Whether personal data is breached"),
    "fact.personal_data.controller": N_("Who is the controller of the personal data"),
    "fact.personal_data.health_data": N_("Whether health data is concerned"),
    "fact.personal_data.categories_of_data_subjects": N_("Categories of data subjects"),
    "fact.personal_data.data_subjects_approx": N_("Approximate number of data subjects"),
    "fact.personal_data.categories_of_records": N_("Categories of personal data records"),
    "fact.personal_data.records_approx": N_("Approximate number of personal data records"),
    "fact.personal_data.likely_consequences": N_("Likely consequences of the personal-data breach"),
    "fact.measures_taken": N_("Measures taken or proposed"),
    "fact.effect": N_("Potential impact on your data hosted in the cloud"),
    # Reasons of a decision, by level and result.
    "reason.impact_high.yes": N_("The security incident interrupts or degrades the service (impact I1 or I2)."),
    "reason.impact_high.no": N_("The impact of the security incident is neither I1 nor I2."),
    "reason.impact_high.unknown": N_(
        "It is not known yet whether this is a security incident of impact I1 or I2 that concerns the customer."
    ),
    "reason.impact_high.other_nature": N_("The event is not a security incident: the impact level does not apply."),
    "reason.impact_high.not_concerned": N_(
        "Neither the service as the customer uses it nor the customer's data is touched."
    ),
    "reason.impact_high.replaced": N_("The customer chose its own levels in the place of the impact level."),
    "reason.customer_data.yes": N_(
        "The security incident harms the confidentiality or integrity of the customer's data."
    ),
    "reason.customer_data.no": N_(
        "Neither the confidentiality nor the integrity of the customer's data is harmed."
    ),
    "reason.customer_data.unknown": N_(
        "It is not known yet whether a security incident harms the confidentiality or integrity of the customer's data."
    ),
    "reason.customer_data.other_nature": N_(
        "The event is not a security incident: the level on the customer's data does not apply."
    ),
    "reason.customer_data.replaced": N_(
        "The customer chose its own levels in the place of the level on the customer's data."
    ),
    "reason.personal_data_customer_controller.yes": N_(
        "Personal data for which the customer is the controller is breached, or is suspected to be."
    ),
    "reason.personal_data_customer_controller.no": N_(
        "No personal data for which the customer is the controller is breached."
    ),
    "reason.personal_data_customer_controller.unknown": N_(
        "It is not known yet whether personal data for which the customer is the controller is breached."
    ),
    "reason.personal_data_provider_controller.yes": N_(
        "Personal data of the customer, for which the provider is the controller, is breached, or is suspected to be."
    ),
    "reason.personal_data_provider_controller.no": N_(
        "No personal data of the customer, for which the provider is the controller, is breached."
    ),
    "reason.personal_data_provider_controller.unknown": N_(
        "It is not known yet whether personal data of the customer, for which the provider is the controller, is"
        " breached."
    ),
    "reason.data_protection_failure.yes": N_(
        "A data-protection rule that the provider applies for the customer is broken, or is suspected to be."
    ),
    "reason.data_protection_failure.no": N_("No data-protection rule is broken without a breach of personal data."),
    "reason.data_protection_failure.unknown": N_(
        "It is not known yet whether a data-protection rule is broken without a breach of personal data."
    ),
    "reason.plain_incident.yes": N_("An incident touches the service as the customer uses it."),
    "reason.plain_incident.no": N_("No incident touches the service as the customer uses it."),
    "reason.plain_incident.unknown": N_(
        "It is not known yet whether an incident touches the service as the customer uses it."
    ),
    "reason.plain_incident.other_nature": N_(
        "The event is not a plain incident: the information on incidents does not apply."
    ),
    "reason.plain_incident.not_touched": N_("The incident does not touch the service as the customer uses it."),
    "reason.profile.yes": N_("The security incident is of a level that the customer chose to be told of."),
    "reason.profile.no": N_("The security incident is of none of the levels that the customer chose."),
    "reason.profile.unknown": N_(
        "It is not known yet whether the event is of a level that the customer chose to be told of."
    ),
    "reason.profile.other_nature": N_("The event is not a security incident: the chosen levels do not apply."),
    "reason.profile.not_concerned": N_(
        "Neither the service as the customer uses it nor the customer's data is touched: the chosen levels do not"
        " apply."
    ),
    "reason.profile.none_chosen": N_("The customer chose to be told of no level but those that cannot be waived."),
    "reason.event.yes": N_("The event is not an incident: nothing is owed for it by itself."),
    "reason.event.unknown": N_(
        "The event may turn out not to be an incident, and nothing would be owed for it by itself."
    ),
    "reason.outside_perimeter.yes": N_(
        "The event lies outside the perimeter of the service: it is no incident of the service."
    ),
    "reason.outside_perimeter.unknown": N_(
        "The event may turn out to lie outside the perimeter of the service, and be no incident of the service."
    ),
    "reason.level.yes": N_("This level of the agreement is reached."),
    "reason.level.no": N_("This level of the agreement is not reached."),
    "reason.level.unknown": N_("It is not known yet whether this level of the agreement is reached."),
    "reason.level.other_nature": N_("The event is of another nature than this level of the agreement is about."),
    "reason.level.not_concerned": N_(
        "The customer is not concerned: neither the service as it uses it nor its data is touched."
    ),
    "reason.level.not_touched": N_("The service as the customer uses it is not touched."),
    "reason.level.replaced": N_("The customer chose its own levels in the place of this one."),
    "reason.not_bound": N_("No agreement bound the customer at the moment when the provider became aware."),
    "reason.exercise_without_consent": N_(
        "This is an exercise, and no contact of the customer takes part in exercises."
    ),
    "exercise.explained": N_(
        "This is an exercise. What it describes did not happen: nothing is affected and no deadline runs. You get it"
        " because you agreed to take part in exercises."
    ),
    # Why a mail is a summary.
    "form.chosen": N_("Mails to you are summaries by choice of your organisation."),
    "form.address_unconfirmed": N_(
        "This mail is a summary because nobody has confirmed yet that this address is yours."
    ),
    "form.no_certificate": N_(
        "This mail is a summary because it may only say more encrypted, and we have no certificate of yours."
    ),
    "form.certificate_unusable": N_(
        "This mail is a summary because it may only say more encrypted, and your certificate cannot be used."
    ),
    "form.too_large": N_(
        "This mail is a summary because the whole notice is larger than a mail server on the way to you accepts."
    ),
    # Remarks to the analyst on facts that do not fit together.
    "remark.attack_accidental": N_(
        "The cause is an attack, but the intent is stated as accidental: one of the two should be looked at again."
    ),
    "remark.attack_intent_unknown": N_(
        "The cause is an attack, but the intent is not stated: an attack is as a rule malicious."
    ),
    "remark.natural_disaster_malicious": N_(
        "The cause is a natural disaster, but the intent is stated as malicious: one of the two should be looked at"
        " again."
    ),
    "remark.hardware_failure_malicious": N_(
        "The cause is a hardware failure, but the intent is stated as malicious: sabotage would be an attack."
    ),
    "remark.outside_perimeter_harm": N_(
        "The event is stated to lie outside the perimeter, but the service itself is harmed."
    ),
    "remark.breach_without_data_harm": N_(
        "A personal-data breach is stated for a customer none of whose data is harmed."
    ),
    "remark.data_harm_untouched": N_("A customer is stated not to be affected, but its data is harmed."),
    "remark.impact_not_in_agreement": N_("The impact level does not exist in this agreement: it counts as unknown."),
    "remark.criticality_not_in_agreement": N_(
        "The criticality level does not exist in this agreement: it counts as unknown."
    ),
}  # fmt: skip

#: Every identifier that has a text.
MESSAGE_IDS = tuple(_MESSAGES)

_OF_ONE_CUSTOMER = re.compile(r"fact\.affected_customers\.[0-9a-f]{8}-[0-9a-f-]{27}\.")


def due_words(due: Mapping[str, str], language: str) -> str:
    """Return the words for the deadline of a document: how strictly it binds. Earlier documents state no binding."""
    code = due.get("binding") or due["kind"]
    return words(
        f"due.announced.{code}" if (due["kind"], code) == ("announced", "no_number") else f"due.{code}", language
    )


def words(message_id: str, language: str) -> str:
    """Return the text for an identifier such as ``reason.impact_high.yes``, ``nature.incident`` or ``fact.intent``.

    A level of another agreement has the generic text ``reason.level.<ending>``. An unknown identifier is returned
    unchanged.
    """
    message = _MESSAGES.get(message_id)
    if message is None and message_id.startswith("reason."):
        message = _MESSAGES.get(f"reason.level.{message_id.rpartition('.')[2]}")
    if message is None:
        message = _MESSAGES.get(_OF_ONE_CUSTOMER.sub("fact.", message_id))
    return message_id if message is None else translate(message, language)
