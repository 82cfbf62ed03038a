"""Where settings come from: file and environment, new names and old ones, and what is refused by one line."""

import json
from pathlib import Path
from typing import get_args, get_origin
from uuid import UUID

import pytest
from pydantic import SecretStr, ValidationError

from notifications.errors import InvalidInputError
from service.settings import SETTINGS_FILE, load_settings
from service.settings.loading import variable
from service.settings.old_names import OLD_NAMES
from service.settings.settings import FIELDS

MOVED = {old: new for old, new in OLD_NAMES.items() if new is not None}
FIXED = [old for old, new in OLD_NAMES.items() if new is None]
#: Settings that the release before did not have.
NEW = {
    "access.trusted_proxies",
    "limits.body_seconds",
    "limits.header_seconds",
    "limits.max_buffered_bytes",
    "limits.signing_process",
    *(
        f"incoming_alerts.{key}"
        for key in (
            "title",
            "summary",
            "services",
            "regions",
            "availability_zones",
            "severity",
            "impacts",
            "alerts_per_request",
            "open_drafts",
        )
    ),
    *(
        f"duties.{key}"
        for key in (
            "authorities",
            "folder",
            "member_state",
            "region",
            "reminders_percent",
            "sectors",
            "turnover_eur",
        )
    ),
    "limits.max_connections",
    "limits.max_import_bytes",
    "provider.random_tickets",
    "contact_checks.second_channel_days",
    "escalation.console_news_seconds",
    "mail.attach_pdf_max_bytes",
    "reports.issued_after_days",
    "reports.time_zone",
    "statements.file",
    "timestamps.ahead_seconds",
    "timestamps.one_each_up_to",
    "timestamps.shared_every_seconds",
    "witnesses.quorum",
}


def another_value(name):
    """Return a value of a setting, as a file holds it, that is not its default."""
    kind, default = FIELDS[name].annotation, FIELDS[name].get_default(call_default_factory=True, validated_data={})
    kinds = [given for given in get_args(kind) if given is not type(None)] if default is None else [kind]
    if get_origin(kind) is tuple:
        return ["x"]
    if get_origin(kind) is dict:
        return {"a": {int: 7, str: "analyst", UUID: str(UUID(int=7))}[get_args(kind)[1]]}
    if default is not None and get_args(kind):
        return next(choice for choice in get_args(kind) if choice != default)
    if kinds[0] is bool:
        return not default
    return {str: "t0ld", Path: "/t0ld", SecretStr: "t0ld"}.get(kinds[0]) or (default or 0) + 1


def toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{key}" = {toml(item)}' for key, item in value.items()) + " }"
    return json.dumps(value)


def text(value):
    return value if isinstance(value, str) else json.dumps(value)


def in_file(folder, *lines):
    (folder / SETTINGS_FILE).write_text("\n".join(lines), encoding="utf-8")


def set_in_file(folder, name, value):
    table, key = name.split(".")
    in_file(folder, f"[{table}]", f"{key} = {toml(value)}")


def test_every_setting_of_the_release_before_has_a_new_name_or_is_fixed():
    assert set(MOVED.values()) | NEW == set(FIELDS)
    assert len(set(MOVED.values())) == len(MOVED) == 92
    assert len(FIXED) == 5


@pytest.mark.parametrize(("old", "new"), MOVED.items(), ids=MOVED)
def test_an_old_name_is_the_new_one_in_the_file_and_in_the_environment(tmp_path, monkeypatch, old, new):
    value, plain = another_value(new), load_settings(tmp_path).model_dump()
    set_in_file(tmp_path, new, value)
    wanted = load_settings(tmp_path)
    assert wanted.model_dump() != plain
    assert wanted.old_names == ()

    in_file(tmp_path, f"{old} = {toml(value)}")
    by_file = load_settings(tmp_path)
    assert by_file.model_dump() == wanted.model_dump()
    assert by_file.old_names == (f"greffier.toml: {old} is now called {new}",)

    (tmp_path / SETTINGS_FILE).unlink()
    monkeypatch.setenv(f"GREFFIER_{old.upper()}", text(value))
    by_variable = load_settings(tmp_path)
    assert by_variable.model_dump() == wanted.model_dump()
    assert by_variable.old_names == (f"GREFFIER_{old.upper()} is now called {variable(new)}",)
    assert "t0ld" not in "".join(by_file.old_names + by_variable.old_names)

    monkeypatch.delenv(f"GREFFIER_{old.upper()}")
    monkeypatch.setenv(variable(new), text(value))
    assert load_settings(tmp_path).model_dump() == wanted.model_dump()
    assert load_settings(tmp_path).old_names == ()


@pytest.mark.parametrize("old", FIXED)
def test_what_can_no_longer_be_set_is_named_and_changes_nothing(tmp_path, monkeypatch, old):
    plain = load_settings(tmp_path).model_dump()
    in_file(tmp_path, f"{old} = 7")
    monkeypatch.setenv(f"GREFFIER_{old.upper()}", "7")
    made = load_settings(tmp_path)
    assert made.model_dump() == plain
    assert [advice.split(" can no longer be set")[0] for advice in made.old_names] == [
        f"greffier.toml: {old}", f"GREFFIER_{old.upper()}",
    ]  # fmt: skip


def test_a_new_name_wins_over_the_old_one_beside_it_and_the_environment_over_the_file(tmp_path, monkeypatch):
    in_file(tmp_path, 'smtp_host = "old.file"', "[mail]", 'host = "new.file"')
    assert load_settings(tmp_path).mail.host == "new.file"
    monkeypatch.setenv("GREFFIER_SMTP_HOST", "old.environment")
    assert load_settings(tmp_path).mail.host == "old.environment"
    monkeypatch.setenv("GREFFIER_MAIL__HOST", "new.environment")
    assert load_settings(tmp_path).mail.host == "new.environment"
    assert load_settings(tmp_path, mail__host="given").mail.host == "given"


def test_the_old_list_of_witnesses_and_the_table_are_told_apart(tmp_path):
    in_file(tmp_path, 'witnesses = ["one"]')
    assert load_settings(tmp_path).witnesses.cosigners == ("one",)
    in_file(tmp_path, "[witnesses]", 'cosigners = ["two"]')
    assert load_settings(tmp_path).witnesses.cosigners == ("two",)


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        (["smtp_hots = 'x'"], "greffier.toml: smtp_hots"),
        (["[mail]", "hots = 'x'"], "greffier.toml: mail.hots"),
        (["[mial]", "host = 'x'"], "greffier.toml: mial"),
        (["mail = 'x'"], "greffier.toml: mail"),
        (["data = 'x'"], "greffier.toml: data"),
    ],
)
def test_an_unknown_key_of_the_file_is_refused_by_one_line(tmp_path, lines, place):
    in_file(tmp_path, *lines)
    with pytest.raises(InvalidInputError) as caught:
        load_settings(tmp_path)
    assert str(caught.value) == f"{place}: is no setting"


@pytest.mark.parametrize(
    "name", ["GREFFIER_SMTP_HOTS", "GREFFIER_MAIL__HOTS", "GREFFIER_MIAL__HOST", "GREFFIER_MAIL", "greffier_mail__hots"]
)
def test_an_unknown_variable_is_refused_by_one_line_without_its_value(tmp_path, monkeypatch, name):
    monkeypatch.setenv(name, "s3cret")
    with pytest.raises(InvalidInputError) as caught:
        load_settings(tmp_path)
    assert str(caught.value) == f"{name}: is no setting"


@pytest.mark.parametrize(
    "name",
    ["GREFFIER_DATA", "GREFFIER_SERVICE_HOST", "GREFFIER_SERVICE_PORT", "GREFFIER_SERVICE_PORT_HTTP", "GREFFIER_PORT",
     "GREFFIER_PORT_8080_TCP", "GREFFIER_PORT_8080_TCP_ADDR"],
)  # fmt: skip
def test_variables_of_scripts_and_of_kubernetes_are_no_settings(tmp_path, monkeypatch, name):
    plain = load_settings(tmp_path)
    monkeypatch.setenv(name, "tcp://10.0.0.7:8080")
    assert load_settings(tmp_path) == plain


def test_a_wrong_value_is_named_by_its_place_and_not_shown(tmp_path, monkeypatch):
    in_file(tmp_path, "[mail]", 'port = "s3cret"', "[oidc]", 'customers = { t-1 = "s3cret" }')
    monkeypatch.setenv("GREFFIER_ACCESS__REQUESTS_BURST", "s3cret")
    monkeypatch.setenv("GREFFIER_SMTP_CONNECTIONS", "s3cret")
    with pytest.raises(InvalidInputError) as caught:
        load_settings(tmp_path)
    assert {fault.field for fault in caught.value.faults} == {
        "greffier.toml: mail.port", "greffier.toml: oidc.customers.t-1", "GREFFIER_ACCESS__REQUESTS_BURST",
        "GREFFIER_SMTP_CONNECTIONS",
    }  # fmt: skip
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("name", ["GREFFIER_OIDC__ROLES", "GREFFIER_OIDC_ROLES", "GREFFIER_WITNESSES__COSIGNERS"])
def test_a_list_or_a_mapping_that_is_no_json_is_named(tmp_path, monkeypatch, name):
    monkeypatch.setenv(name, "{s3cret")
    with pytest.raises(InvalidInputError, match=f"^{name}: must be JSON$"):
        load_settings(tmp_path)


def test_a_quorum_of_more_witnesses_than_there_are_is_refused(tmp_path):
    in_file(tmp_path, "[witnesses]", "quorum = 1")
    with pytest.raises(InvalidInputError, match="quorum is 1, and there are 0 cosigners"):
        load_settings(tmp_path)
    in_file(tmp_path, "[witnesses]", "quorum = 0")
    assert load_settings(tmp_path).witnesses.quorum == 0


def test_settings_and_their_tables_cannot_be_changed(tmp_path):
    settings = load_settings(tmp_path)
    for part, key in ((settings, "data"), (settings.mail, "host")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(part, key, "x")
