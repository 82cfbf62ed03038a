"""Why a change of an account is refused, in the reader's words: the rules say it in English."""

from collections.abc import Mapping

from notifications.errors import InvalidInputError, StateConflictError, VersionMismatchError

#: What a rule says -> the key of its words, ``accounts.refused.<key>``.
_WORDS: Mapping[str, str] = {
    "nobody changes their own roles: another administrator does": "own_roles",
    "the account holds this role already: revoke it before it is granted otherwise": "held_already",
    "the account is invited by this customer already: revoke that first": "invited_already",
    "this is the last active administrator": "last_administrator",
    "a service account has no second factor": "service_has_no_factor",
    "one's own second factor is changed where one proves it": "own_factor",
    "a service account signs in by tokens alone: it is not invited": "service_not_invited",
    "the account is not active": "inactive",
    "the account can sign in already, and without provider.console_url no link can be mailed to it": "no_address",
    "a person issues its own tokens: nobody else can": "token_of_person",
    "a person signs in and is reached by an address": "person_without_address",
    "a service account signs in by tokens alone and has no address": "service_with_address",
    "another account has this address": "address_taken",
    "only an auditor has a period": "period_of_auditor",
    "must be after starts_at": "period_backwards",
    "no such customer": "no_such_customer",
    "several customers have this name": "several_customers",
    "service_account is no role of a person": "role_of_service",
    "is no permission of this account": "permission_not_held",
    "is a permission that you do not hold for all customers yourself": "permission_not_yours",
    "name at least one": "no_permission",
    "is no IANA time zone": "no_time_zone",
}
#: What a rule says that names a role, by its end or its beginning.
_ENDS = {
    " is held at a customer: name it": "role_at_customer",
    " is held at the provider, at no customer": "role_at_provider",
}
_BEGINS = {"a service account holds only ": "roles_of_service", "must be within the next ": "token_days"}

Refusal = InvalidInputError | StateConflictError | VersionMismatchError


def refused_keys(error: Refusal) -> list[str]:
    """Return the keys of the words for every reason of a refusal, each once; ``field.<name>`` for a field's form."""
    if isinstance(error, VersionMismatchError):
        return ["outdated"]
    if isinstance(error, StateConflictError):
        return [reason_key(str(error)) or "conflict"]
    keys = [reason_key(item.reason) or f"field_{item.field.partition('.')[0]}" for item in error.faults]
    return list(dict.fromkeys(keys))


def reason_key(reason: str) -> str | None:
    """Return the key of what a rule says, or None where there are no words for it."""
    if reason in _WORDS:
        return _WORDS[reason]
    by_end = next((key for end, key in _ENDS.items() if reason.endswith(end)), None)
    return by_end or next((key for begin, key in _BEGINS.items() if reason.startswith(begin)), None)
