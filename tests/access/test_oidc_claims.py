"""What claims mean here, and which settings are refused before anything starts."""

from uuid import UUID

import pytest

from notifications.errors import InvalidInputError
from service.auth.oidc.claims import claim_values, granted_roles
from service.bootstrap.console import oidc_settings
from service.ports.accounts import Role
from service.settings import load_settings
from service.settings.oidc import OidcSettings
from service.web.console.parts import CALLBACK_PATH

ONE, TWO = UUID(int=1), UUID(int=2)
ROLES = {"soc": "analyst", "member": "customer_member", "audit-all": "auditor", "audit": "customer_auditor"}


def settings(**values):
    return OidcSettings(
        issuer="https://id.example",
        client_id="c",
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


RIGHT = {
    "oidc__issuer": "https://id.example",
    "oidc__client_id": "c",
    "provider__console_url": "https://greffier.example/",
}


def test_settings_become_those_of_one_client(tmp_path):
    (tmp_path / "secret").write_text("s3cret\n")
    given = load_settings(tmp_path, **RIGHT, oidc__client_secret_file=tmp_path / "secret")
    made = oidc_settings(given)
    assert given.provider.origin + CALLBACK_PATH == "https://greffier.example/sign-in/oidc/callback"
    assert made.secret() == "s3cret"
    assert "s3cret" not in repr(made)
    assert oidc_settings(load_settings(tmp_path)) is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"oidc__issuer": "http://id.example"}, "oidc.issuer"),
        ({"oidc__issuer": "https://id.example?x=1"}, "oidc.issuer"),
        ({"oidc__issuer": "https://id.example#x"}, "oidc.issuer"),
        ({"oidc__issuer": "id.example"}, "oidc.issuer"),
        ({"oidc__issuer": "https://user:pw@id.example"}, "oidc.issuer"),
        ({"oidc__client_id": ""}, "oidc.client_id"),
        ({"provider__console_url": None}, "provider.console_url"),
        ({"oidc__scopes": "email"}, "oidc.scopes"),
        ({"oidc__roles": {"a": "root"}, "oidc__role_claim": "r"}, "oidc.roles.a"),
        ({"oidc__roles": {"a": "service_account"}, "oidc__role_claim": "r"}, "oidc.roles.a"),
        ({"oidc__roles": {"a": "analyst"}}, "oidc.role_claim"),
        ({"oidc__clock_skew_seconds": 61}, "oidc.clock_skew_seconds"),
        ({"oidc__customers": {"t-1": "no id"}}, "oidc.customers.t-1"),
        ({"oidc__client_secret_file": "/nonexistent"}, "oidc.client_secret_file"),
    ],
)
def test_a_setting_that_cannot_be_is_named(tmp_path, changes, field):
    with pytest.raises(InvalidInputError) as caught:
        oidc_settings(load_settings(tmp_path, **(RIGHT | changes)))
    assert field in {fault.field for fault in caught.value.faults}
