"""What is logged: secrets under any name, in any depth, in a reason or a trace, do not come out."""

import dataclasses
import importlib
import io
import json
import pkgutil

import pytest
import structlog
from pydantic import SecretStr

import service.auth
import service.channels
from service.ports import alerts, credentials, mails, sessions, tokens
from service.settings import Settings
from service.settings.access import AccessSettings
from service.settings.mail import MailSettings
from service.settings.oidc import OidcSettings
from service.settings.settings import FIELDS
from service.system.logging import configure_logging

TOKEN = "grf_" + "x" * 43


@pytest.fixture
def logged():
    stream = io.StringIO()
    configure_logging(stream)
    yield lambda: json.loads(stream.getvalue().splitlines()[-1])
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "name",
    ["authorization", "Authorization", "token", "api_token", "password", "new_password", "passphrase", "smtp_password",
     "secret", "client_secret", "cookie", "set_cookie", "code", "recovery_codes", "seed", "sealed_seed", "totp_seed",
     "csrf", "csrf_token", "code_verifier", "nonce", "private_key", "master_key", "otpauth", "hash"],
)  # fmt: skip
@pytest.mark.parametrize("value", ["s3cret-value", b"s3cret-value", ["s3cret-value"], {"a": "s3cret-value"}])
def test_a_value_under_a_secret_name_is_not_shown(logged, name, value):
    structlog.get_logger().warning("thing.happened", **{name: value}, facts={"deeper": [{name: value}]})
    shown = logged()
    assert "s3cret" not in json.dumps(shown)
    assert shown[name] == "[redacted]"


def test_codes_that_are_numbers_and_plain_facts_are_shown(logged):
    facts = {"code": 250, "reason": "5.7.1 refused", "fingerprint": "ab" * 32, "kind": "log", "path": "/api/v1/keys"}
    structlog.get_logger().warning("delivery.failed", **facts)
    assert logged().items() >= facts.items()


@pytest.mark.parametrize(
    "text",
    [f"the token {TOKEN} is not known", "the header was Bearer abcdefghijklmnop", "whsec_" + "A" * 32,
     "-----BEGIN PRIVATE KEY-----\nMIGH\nAgEA\n-----END PRIVATE KEY-----\nafter",
     "-----BEGIN EC PRIVATE KEY-----\nMIGH",
     "https://user:MIGHabcdefg@tsa.example/", "otpauth://totp/a?secret=MIGHABCDEFG"],
)  # fmt: skip
def test_a_secret_in_the_words_of_an_error_is_not_shown(logged, text):
    with pytest.raises(ValueError, match="invalid literal") as caught:
        int("not a number: " + text)
    structlog.get_logger().error("request.crashed", reason=text, exc_info=caught.value)
    shown = json.dumps(logged())
    for secret in ("x" * 43, "abcdefghijklmnop", "A" * 32, "MIGH", "AgEA"):
        assert secret not in shown
    assert "[redacted]" in shown
    assert "Traceback" in shown


def test_records_that_hold_secrets_do_not_show_them():
    secret_names = ("hash", "seed", "secret", "password", "passphrase", "digest", "csrf", "sealed", "otpauth", "cookie")
    shown = []
    modules = [alerts, credentials, mails, sessions, tokens]
    for package in (service.auth, service.channels):
        found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        modules += [importlib.import_module(item.name) for item in found]
    for module in modules:
        for kind in vars(module).values():
            if isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind.__module__ == module.__name__:
                for member in dataclasses.fields(kind):
                    is_text = str(member.type).removesuffix(" | None") in {
                        "str",
                        "bytes",
                        "<class 'str'>",
                        "<class 'bytes'>",
                    }
                    if member.repr and is_text and any(name in member.name for name in secret_names):
                        shown.append(f"{module.__name__}.{kind.__name__}.{member.name}")
    assert shown == []


def test_a_setting_that_is_a_secret_is_of_the_type_that_hides_it():
    words = ("password", "secret", "token", "passphrase", "key")
    named = {name: field for name, field in FIELDS.items() if any(word in name.partition(".")[2] for word in words)}
    open_ones = {
        name for name, field in named.items() if "SecretStr" not in str(field.annotation) and not name.endswith("_file")
    }
    assert open_ones - {"log.key_overlap_days"} == set()
    secret = SecretStr("s3cret" * 8)
    access, mail, oidc = (
        AccessSettings(api_token=secret), MailSettings(password=secret), OidcSettings(client_secret=secret)
    )  # fmt: skip
    assert "s3cret" not in repr(Settings(data=".", access=access, mail=mail, oidc=oidc))
