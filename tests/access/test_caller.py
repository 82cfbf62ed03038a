"""Permissions and scopes: what a set of grants comes to, compared with a plain restatement of the rules."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.auth.caller import Caller
from service.auth.permissions import ROLE_PERMISSIONS, Permission, permissions_of
from service.ports.accounts import CUSTOMER_ROLES, AccountKind, Grant, Role

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
CUSTOMERS = [UUID(int=number) for number in (1, 2, 3)]
P = Permission


def grant(role, customer=None, starts_at=None, ends_at=None):
    return Grant(uuid4(), UUID(int=9), role, customer, starts_at, ends_at, NOW, "account:x")


def caller(*grants, token=None):
    return Caller(UUID(int=9), AccountKind.PERSON, "N", "fr", tuple(grants), token_permissions=token)


@st.composite
def grants(draw):
    role = draw(st.sampled_from(Role))
    if role in CUSTOMER_ROLES:
        return grant(role, draw(st.sampled_from(CUSTOMERS)))
    if role is not Role.AUDITOR:
        return grant(role)
    moments = st.none() | st.integers(-5, 5).map(lambda days: NOW + timedelta(days=days))
    return grant(role, draw(st.none() | st.sampled_from(CUSTOMERS)), draw(moments), draw(moments))


@given(st.lists(grants(), max_size=5), st.sampled_from(Permission))
def test_a_permission_is_had_exactly_when_some_grant_carries_it(held, permission):
    carried = any(
        permission in permissions_of(item.role, at_one_customer=item.customer_id is not None) for item in held
    )
    scope = caller(*held).scope(permission)
    assert (scope is not None) == (carried or permission is P.SELF)


@given(
    st.lists(grants(), min_size=1, max_size=5),
    st.sampled_from(CUSTOMERS),
    st.integers(-6, 6).map(lambda days: NOW + timedelta(days=days)),
    st.booleans(),
)
def test_a_notice_is_within_exactly_when_one_grant_alone_would_show_it(held, customer, at, served):
    scope = caller(*held).scope(P.NOTICE_READ)
    shown = any(
        P.NOTICE_READ in permissions_of(item.role, at_one_customer=item.customer_id is not None)
        and item.customer_id in {None, customer}
        and (item.starts_at is None or item.starts_at <= at)
        and (item.ends_at is None or at < item.ends_at)
        and (served or item.customer_id is None)
        for item in held
    )
    assert (scope is not None and scope.covers(customer, at, served=served)) == shown


@given(st.lists(grants(), min_size=1, max_size=5))
def test_a_customers_side_never_becomes_unlimited_by_having_more_of_it(held):
    theirs = [item for item in held if item.customer_id is not None]
    for permission in Permission:
        scope = caller(*theirs).scope(permission)
        if scope is not None and permission is not P.SELF:
            assert not scope.is_unlimited
            assert scope.customer_ids is not None
            assert scope.customer_ids <= {item.customer_id for item in theirs}


@given(st.lists(grants(), min_size=1, max_size=5), st.sets(st.sampled_from([item.value for item in Permission])))
def test_a_token_never_adds_to_what_the_account_holds(held, carried):
    with_token, with_session = caller(*held, token=frozenset(carried)), caller(*held)
    for permission in Permission:
        expected = with_session.scope(permission) if permission.value in carried else None
        assert with_token.scope(permission) == expected


def test_an_auditor_is_logged_wherever_another_role_does_not_give_the_same():
    auditor, analyst = grant(Role.AUDITOR), grant(Role.ANALYST)
    assert caller(auditor).scope(P.NOTICE_READ).is_logged
    assert not caller(analyst).scope(P.NOTICE_READ).is_logged
    assert not caller(auditor, analyst).scope(P.NOTICE_READ).is_logged
    # What the analyst's role does not give is read as the auditor.
    assert caller(auditor, analyst).scope(P.ACCOUNT_READ).is_logged
    assert (
        caller(grant(Role.CUSTOMER_MEMBER, CUSTOMERS[0]), grant(Role.AUDITOR, CUSTOMERS[1]))
        .scope(P.NOTICE_READ)
        .is_logged
    )


def test_an_auditor_of_one_customer_reads_neither_incidents_nor_the_whole_log():
    one = caller(grant(Role.AUDITOR, CUSTOMERS[0]))
    for permission in (P.INCIDENT_READ, P.LOG_READ, P.ACCOUNT_READ, P.KEY_READ, P.SETTING_READ):
        assert one.scope(permission) is None
    assert one.scope(P.NOTICE_READ).customer_ids == {CUSTOMERS[0]}


@pytest.mark.parametrize("role", [Role.AUDITOR])
def test_an_auditor_changes_nothing(role):
    changing = {item for item in Permission if item.value.endswith((".change", ".declare", ".release", ".override"))}
    assert not ROLE_PERMISSIONS[role] & changing


def test_an_administrator_sees_no_incident_content():
    content = {P.INCIDENT_READ, P.INCIDENT_CHANGE, P.INCIDENT_DECLARE, P.NOTICE_READ, P.NOTICE_RELEASE, P.LOG_READ}
    assert not ROLE_PERMISSIONS[Role.ADMINISTRATOR] & (content | {P.TRAIL_READ, P.NOTICE_OVERRIDE})


def test_no_role_of_a_customer_carries_a_permission_of_the_provider():
    provider = {P.INCIDENT_READ, P.INCIDENT_DECLARE, P.INCIDENT_CHANGE, P.NOTICE_RELEASE, P.NOTICE_OVERRIDE}
    provider |= {P.LOG_READ, P.ACCOUNT_READ, P.ACCOUNT_CHANGE, P.KEY_READ, P.KEY_CHANGE, P.SETTING_READ}
    provider |= {P.CUSTOMER_CHANGE, P.ATTENTION_READ}
    for role in CUSTOMER_ROLES:
        assert not ROLE_PERMISSIONS[role] & provider


def test_automation_releases_nothing_and_keeps_no_customer():
    assert not ROLE_PERMISSIONS[Role.SERVICE_ACCOUNT] & {
        P.NOTICE_RELEASE, P.NOTICE_OVERRIDE, P.CUSTOMER_CHANGE, P.CONTACT_CHANGE, P.ACCOUNT_CHANGE, P.CUSTOMER_READ,
    }  # fmt: skip
