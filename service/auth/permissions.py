"""The permissions of each role. A role has only the permissions that are listed here: deny by default."""

from enum import StrEnum

from service.ports.accounts import Role


class Permission(StrEnum):
    """A permission; every route declares exactly one."""

    #: one's own account: credentials, sessions, tokens; every signed-in person has it
    SELF = "self"
    INCIDENT_DECLARE = "incident.declare"
    INCIDENT_READ = "incident.read"
    INCIDENT_CHANGE = "incident.change"
    #: announcements: notices of the agreement that are about no incident, and their letters
    ANNOUNCEMENT_READ = "announcement.read"
    ANNOUNCEMENT_CHANGE = "announcement.change"
    NOTICE_READ = "notice.read"
    #: only for one's own customer: nobody at the provider acknowledges in its name
    NOTICE_ACKNOWLEDGE = "notice.acknowledge"
    #: only for one's own customer, like the acknowledgement: questions about notices, and whether they helped
    QUESTION_ASK = "question.ask"
    NOTICE_RELEASE = "notice.release"
    #: emergency release without a second person or without an approver
    NOTICE_OVERRIDE = "notice.override"
    CUSTOMER_READ = "customer.read"
    CUSTOMER_CHANGE = "customer.change"
    CONTACT_READ = "contact.read"
    CONTACT_CHANGE = "contact.change"
    PROFILE_READ = "profile.read"
    PROFILE_CHANGE = "profile.change"
    #: the members of a customer
    MEMBER_READ = "member.read"
    MEMBER_CHANGE = "member.change"
    AGREEMENT_READ = "agreement.read"
    ATTENTION_READ = "attention.read"
    #: the whole log
    LOG_READ = "log.read"
    #: checkpoints and proofs, which contain only hashes
    LOG_PROVE = "log.prove"
    #: the entries of the log that concern one customer
    TRAIL_READ = "trail.read"
    ACCOUNT_READ = "account.read"
    ACCOUNT_CHANGE = "account.change"
    KEY_READ = "key.read"
    KEY_CHANGE = "key.change"
    SETTING_READ = "setting.read"
    #: channels, and whether they are paused
    CHANNEL_READ = "channel.read"
    CHANNEL_CHANGE = "channel.change"
    #: call tasks and their results
    CALL_READ = "call.read"
    CALL_CHANGE = "call.change"
    #: the exact bytes of bounces, which may contain text of people
    RETURNED_READ = "returned.read"
    #: webhook endpoints, and the secrets that sign messages to them
    WEBHOOK_READ = "webhook.read"
    WEBHOOK_CHANGE = "webhook.change"
    #: the inventory: which customer held which resource
    RESOURCE_READ = "resource.read"
    RESOURCE_CHANGE = "resource.change"
    #: monthly reports and yearly statistics: on all customers at the provider, else on one's own
    REPORT_READ = "report.read"
    #: figures of the service
    METRICS_READ = "metrics.read"


_P = Permission

_OF_EVERYBODY = frozenset({_P.SELF, _P.AGREEMENT_READ, _P.LOG_PROVE})
_READS_CUSTOMERS = frozenset({
    _P.CUSTOMER_READ, _P.CONTACT_READ, _P.PROFILE_READ, _P.TRAIL_READ, _P.WEBHOOK_READ, _P.REPORT_READ,
})  # fmt: skip
_READS_INCIDENTS = frozenset({_P.INCIDENT_READ, _P.NOTICE_READ})
_OF_A_MEMBER = (
    _OF_EVERYBODY | _READS_CUSTOMERS | {_P.NOTICE_READ, _P.NOTICE_ACKNOWLEDGE, _P.QUESTION_ASK, _P.MEMBER_READ}
)

_SOC = (
    _OF_EVERYBODY
    | _READS_CUSTOMERS
    | _READS_INCIDENTS
    | {_P.ATTENTION_READ, _P.LOG_READ, _P.NOTICE_OVERRIDE, _P.CHANNEL_READ, _P.CALL_READ, _P.CALL_CHANGE}
    | {_P.RESOURCE_READ, _P.ANNOUNCEMENT_READ}
)

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.ANALYST: _SOC
    | {_P.INCIDENT_DECLARE, _P.INCIDENT_CHANGE, _P.CHANNEL_CHANGE, _P.RETURNED_READ}
    | {_P.RESOURCE_CHANGE, _P.ANNOUNCEMENT_CHANGE},
    Role.APPROVER: _SOC | {_P.NOTICE_RELEASE},
    Role.ADMINISTRATOR: _OF_EVERYBODY
    | (_READS_CUSTOMERS - {_P.TRAIL_READ})
    | {_P.CUSTOMER_CHANGE, _P.CONTACT_CHANGE, _P.PROFILE_CHANGE, _P.MEMBER_READ, _P.MEMBER_CHANGE, _P.ATTENTION_READ}
    | {_P.WEBHOOK_CHANGE, _P.RESOURCE_CHANGE, _P.ANNOUNCEMENT_READ, _P.ANNOUNCEMENT_CHANGE}
    | {_P.ACCOUNT_READ, _P.ACCOUNT_CHANGE, _P.KEY_READ, _P.KEY_CHANGE, _P.SETTING_READ}
    | {_P.CHANNEL_READ, _P.CHANNEL_CHANGE, _P.METRICS_READ},
    Role.CUSTOMER_MEMBER: _OF_A_MEMBER,
    Role.CUSTOMER_MANAGER: _OF_A_MEMBER | {_P.CONTACT_CHANGE, _P.PROFILE_CHANGE, _P.MEMBER_CHANGE, _P.WEBHOOK_CHANGE},
    Role.AUDITOR: _OF_EVERYBODY
    | _READS_CUSTOMERS
    | _READS_INCIDENTS
    | {_P.LOG_READ, _P.MEMBER_READ, _P.ACCOUNT_READ, _P.KEY_READ, _P.SETTING_READ, _P.CHANNEL_READ, _P.CALL_READ}
    | {_P.RESOURCE_READ, _P.ANNOUNCEMENT_READ},
    Role.SERVICE_ACCOUNT: _OF_EVERYBODY
    | _READS_INCIDENTS
    | {_P.INCIDENT_DECLARE, _P.INCIDENT_CHANGE, _P.ATTENTION_READ, _P.METRICS_READ, _P.RESOURCE_CHANGE},
}

#: A program has these never, whatever its role: a customer acknowledges and asks by a person, whose own token may do
#: it.
PERMISSIONS_OF_PEOPLE = frozenset({_P.NOTICE_ACKNOWLEDGE, _P.QUESTION_ASK})

#: Permissions of an auditor of one customer. Facts of incidents and the log name other customers, so they are excluded.
AUDITOR_OF_ONE_CUSTOMER = _OF_EVERYBODY | _READS_CUSTOMERS | {_P.NOTICE_READ, _P.MEMBER_READ}


def permissions_of(role: Role, *, at_one_customer: bool) -> frozenset[Permission]:
    """Return the permissions of a role, for all customers or for one customer."""
    if role is Role.AUDITOR and at_one_customer:
        return AUDITOR_OF_ONE_CUSTOMER
    return ROLE_PERMISSIONS[role]
