"""What each role may do. A permission that is not listed here for a role is not had: deny by default."""

from enum import StrEnum

from service.ports.accounts import Role


class Permission(StrEnum):
    """Something that may be done; every route declares exactly one."""

    #: one's own account: credentials, sessions, tokens; whoever is signed in has it
    SELF = "self"
    INCIDENT_DECLARE = "incident.declare"
    INCIDENT_READ = "incident.read"
    INCIDENT_CHANGE = "incident.change"
    NOTICE_READ = "notice.read"
    #: for one's own customer alone: nobody at the provider acknowledges in its name
    NOTICE_ACKNOWLEDGE = "notice.acknowledge"
    NOTICE_RELEASE = "notice.release"
    #: the emergency way past four eyes and past the want of an approver
    NOTICE_OVERRIDE = "notice.override"
    CUSTOMER_READ = "customer.read"
    CUSTOMER_CHANGE = "customer.change"
    CONTACT_READ = "contact.read"
    CONTACT_CHANGE = "contact.change"
    PROFILE_READ = "profile.read"
    PROFILE_CHANGE = "profile.change"
    #: who acts for a customer
    MEMBER_READ = "member.read"
    MEMBER_CHANGE = "member.change"
    AGREEMENT_READ = "agreement.read"
    ATTENTION_READ = "attention.read"
    #: the log, whole
    LOG_READ = "log.read"
    #: checkpoints and proofs: hashes alone
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
    #: whom to call, and what came of it
    CALL_READ = "call.read"
    CALL_CHANGE = "call.change"
    #: the very bytes of what came back of a mail: people may have written them
    RETURNED_READ = "returned.read"
    #: where notices are posted to, and the secrets that sign them
    WEBHOOK_READ = "webhook.read"
    WEBHOOK_CHANGE = "webhook.change"
    #: how the service fares, in numbers
    METRICS_READ = "metrics.read"


_P = Permission

_OF_EVERYBODY = frozenset({_P.SELF, _P.AGREEMENT_READ, _P.LOG_PROVE})
_READS_CUSTOMERS = frozenset({
    _P.CUSTOMER_READ, _P.CONTACT_READ, _P.PROFILE_READ, _P.TRAIL_READ, _P.WEBHOOK_READ,
})  # fmt: skip
_READS_INCIDENTS = frozenset({_P.INCIDENT_READ, _P.NOTICE_READ})
_OF_A_MEMBER = _OF_EVERYBODY | _READS_CUSTOMERS | {_P.NOTICE_READ, _P.NOTICE_ACKNOWLEDGE, _P.MEMBER_READ}

_SOC = (
    _OF_EVERYBODY
    | _READS_CUSTOMERS
    | _READS_INCIDENTS
    | {_P.ATTENTION_READ, _P.LOG_READ, _P.NOTICE_OVERRIDE, _P.CHANNEL_READ, _P.CALL_READ, _P.CALL_CHANGE}
)

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.ANALYST: _SOC | {_P.INCIDENT_DECLARE, _P.INCIDENT_CHANGE, _P.CHANNEL_CHANGE, _P.RETURNED_READ},
    Role.APPROVER: _SOC | {_P.NOTICE_RELEASE},
    Role.ADMINISTRATOR: _OF_EVERYBODY
    | (_READS_CUSTOMERS - {_P.TRAIL_READ})
    | {_P.CUSTOMER_CHANGE, _P.CONTACT_CHANGE, _P.PROFILE_CHANGE, _P.MEMBER_READ, _P.MEMBER_CHANGE, _P.ATTENTION_READ}
    | {_P.WEBHOOK_CHANGE}
    | {_P.ACCOUNT_READ, _P.ACCOUNT_CHANGE, _P.KEY_READ, _P.KEY_CHANGE, _P.SETTING_READ}
    | {_P.CHANNEL_READ, _P.CHANNEL_CHANGE, _P.METRICS_READ},
    Role.CUSTOMER_MEMBER: _OF_A_MEMBER,
    Role.CUSTOMER_MANAGER: _OF_A_MEMBER | {_P.CONTACT_CHANGE, _P.PROFILE_CHANGE, _P.MEMBER_CHANGE, _P.WEBHOOK_CHANGE},
    Role.AUDITOR: _OF_EVERYBODY
    | _READS_CUSTOMERS
    | _READS_INCIDENTS
    | {_P.LOG_READ, _P.MEMBER_READ, _P.ACCOUNT_READ, _P.KEY_READ, _P.SETTING_READ, _P.CHANNEL_READ, _P.CALL_READ},
    Role.SERVICE_ACCOUNT: _OF_EVERYBODY
    | _READS_INCIDENTS
    | {_P.INCIDENT_DECLARE, _P.INCIDENT_CHANGE, _P.ATTENTION_READ, _P.METRICS_READ},
}

#: What an auditor of one customer may read: an incident's facts and the log name other customers, so not those.
AUDITOR_OF_ONE_CUSTOMER = _OF_EVERYBODY | _READS_CUSTOMERS | {_P.NOTICE_READ, _P.MEMBER_READ}


def permissions_of(role: Role, *, at_one_customer: bool) -> frozenset[Permission]:
    """Return the permissions of a role held at large, or at one customer."""
    if role is Role.AUDITOR and at_one_customer:
        return AUDITOR_OF_ONE_CUSTOMER
    return ROLE_PERMISSIONS[role]
