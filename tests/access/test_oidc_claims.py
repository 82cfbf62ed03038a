"""What claims mean here, and which settings are refused before anything starts."""

from uuid import UUID

import pytest

from notifications.errors import InvalidInputError
from service.auth.oidc.claims import claim_values, granted_roles
from service.auth.oidc.settings import OidcSettings
from service.bootstrap.console import oidc_settings
from service.ports.accounts import Role
from service.settings import load_settings

ONE, TWO = UUID(int=1), UUID(int=2)
ROLES = {"soc": "analyst", "member": "customer_member", "audit-all": "auditor", "audit": "customer_auditor"}


def settings(**values):
    return OidcSettings(
        "https://id.example",
        "c",
        None,
        "https://x.example/cb",
        role_claim="r",
        roles=ROLES,
        customer_claim="c",
        **values,
    )


@pytest.mark.parametrize(
    ("claims", "path", "values"),
    [
        ({"groups": ["a", "b"]}, "groups", ("a", "b")),
        ({"groups": "a b"}, "groups", ("a b",)),
        ({"realm_access": {"roles": ["a"]}}, "realm_access.roles", ("a",)),
        ({"https://cloud.example/roles": ["a"]}, "https://cloud.example/roles", ("a",)),
        ({"https://cloud.example/x": {"roles": ["a"]}}, "https://cloud.example/x.roles", ("a",)),
        ({"groups": [1, None, ["a"], "b"]}, "groups", ("b",)),
        ({"groups": {"a": 1}}, "groups", ()),
        ({"groups": "a"}, "groups.a", ()),
        ({"groups": "a"}, None, ()),
        ({}, "groups", ()),
        ({"": {"": "a"}}, ".", ("a",)),
    ],
)
def test_values_are_found_at_their_path(claims, path, values):
    assert claim_values(claims, path) == values


@pytest.mark.parametrize(
    ("claims", "granted"),
    [
        ({"r": ["soc", "nothing"]}, {(Role.ANALYST, None)}),
        ({"r": ["member"], "c": [str(ONE), str(TWO)]}, {(Role.CUSTOMER_MEMBER, ONE), (Role.CUSTOMER_MEMBER, TWO)}),
        ({"r": ["member"]}, set()),
        ({"r": ["member"], "c": "not-an-id"}, set()),
        ({"r": ["audit-all"], "c": str(ONE)}, {(Role.AUDITOR, None)}),
        ({"r": ["audit"], "c": str(ONE)}, {(Role.AUDITOR, ONE)}),
        # A claim that is missing widens nothing.
        ({"r": ["audit"]}, set()),
        ({"c": str(ONE)}, set()),
        ({"r": ["analyst", "administrator", "Soc"]}, set()),
    ],
)
def test_roles_come_of_mapped_values_alone(claims, granted):
    assert set(granted_roles(claims, settings())) == granted


def test_with_a_mapping_a_customers_id_is_no_value():
    mapped = settings(customers={"t-1": ONE})
    assert granted_roles({"r": ["member"], "c": ["t-1", str(TWO)]}, mapped) == ((Role.CUSTOMER_MEMBER, ONE),)


RIGHT = {"oidc_issuer": "https://id.example", "oidc_client_id": "c", "console_url": "https://greffier.example/"}


def test_settings_become_those_of_one_client(tmp_path):
    (tmp_path / "secret").write_text("s3cret\n")
    made = oidc_settings(load_settings(tmp_path, **RIGHT, oidc_client_secret_file=tmp_path / "secret"))
    assert made.redirect_uri == "https://greffier.example/sign-in/oidc/callback"
    assert made.client_secret == "s3cret"
    assert "s3cret" not in repr(made)
    assert oidc_settings(load_settings(tmp_path)) is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"oidc_issuer": "http://id.example"}, "oidc_issuer"),
        ({"oidc_issuer": "https://id.example?x=1"}, "oidc_issuer"),
        ({"oidc_issuer": "https://id.example#x"}, "oidc_issuer"),
        ({"oidc_issuer": "id.example"}, "oidc_issuer"),
        ({"oidc_issuer": "https://user:pw@id.example"}, "oidc_issuer"),
        ({"oidc_client_id": ""}, "oidc_client_id"),
        ({"console_url": None}, "console_url"),
        ({"oidc_scopes": "email"}, "oidc_scopes"),
        ({"oidc_roles": {"a": "root"}, "oidc_role_claim": "r"}, "oidc_roles.a"),
        ({"oidc_roles": {"a": "service_account"}, "oidc_role_claim": "r"}, "oidc_roles.a"),
        ({"oidc_roles": {"a": "analyst"}}, "oidc_role_claim"),
        ({"oidc_clock_skew_seconds": 61}, "oidc_clock_skew_seconds"),
        ({"oidc_customers": {"t-1": "no id"}}, "oidc_customers.t-1"),
        ({"oidc_client_secret_file": "/nonexistent"}, "oidc_client_secret_file"),
    ],
)
def test_a_setting_that_cannot_be_is_named(tmp_path, changes, field):
    with pytest.raises(InvalidInputError) as caught:
        oidc_settings(load_settings(tmp_path, **(RIGHT | changes)))
    assert field in {fault.field for fault in caught.value.faults}
