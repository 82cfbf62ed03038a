"""A wrong command is one line that names what is wrong, and exit code 2; it changes nothing."""

import pytest
from tzdata import IANA_VERSION

from support import commands


def refusal(*arguments):
    done = commands.run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    return done.stderr


def test_the_version_names_the_release_of_the_time_zones():
    assert commands.run("--version").stdout.endswith(f", time zones {IANA_VERSION}\n")


def test_a_group_without_a_command_shows_its_help():
    assert refusal("keys").startswith("Usage: ")


def test_a_file_that_the_system_refuses_is_named_with_the_reason(data_folder, tmp_path):
    out = tmp_path / "missing" / "customers.csv"
    assert refusal("export", "--data", data_folder, "--out", out) == f"greffier: {out}: No such file or directory\n"


def test_a_bundle_names_the_folder_that_is_missing(data_folder, tmp_path):
    out = tmp_path / "missing" / "bundle.zip"
    error = refusal("bundle", "--data", data_folder, "--period", "2026-01-01/2026-02-01", "--output", out)
    assert error == f"greffier: output: the folder {out.parent} does not exist\n"


def test_a_folder_that_holds_no_backup_is_named(data_folder, tmp_path):
    error = refusal("backup", tmp_path / "missing", "--data", data_folder, "--verify")
    named = tmp_path / "missing" / "backup.json"
    assert error == f"greffier: backup: {named} cannot be read: No such file or directory\n"


def test_the_demo_leaves_the_data_folder_of_a_service_as_it_is(data_folder):
    trusted = (data_folder / "trust" / "log.vkey").read_bytes()
    error = refusal("demo", "--out", data_folder, "--once", "--port", "0")
    assert error == f"greffier: out: {data_folder} is the data folder of a service: name another folder\n"
    assert (data_folder / "trust" / "log.vkey").read_bytes() == trusted


def test_a_migration_makes_no_database_in_a_folder_that_has_none(tmp_path):
    error = refusal("migrate", "--data", tmp_path)
    named = tmp_path / "greffier.sqlite3"
    assert error == f"greffier: data: {named} does not exist: greffier init makes a data folder\n"
    assert list(tmp_path.iterdir()) == []


def test_a_copy_names_the_database_that_is_missing(tmp_path):
    error = refusal("copy", "--data", tmp_path / "missing")
    named = tmp_path / "missing" / "greffier.sqlite3"
    assert error == f"greffier: data: {named} does not exist: name a data folder with an embedded database\n"


def test_a_copy_names_the_setting_that_is_missing(data_folder):
    error = refusal("copy", "--data", data_folder)
    assert error.startswith("greffier: database.url: is not set: ")
    assert "GREFFIER_DATABASE__URL" in error


def test_a_report_names_the_period_that_is_none(tmp_path):
    error = refusal("report", "abc", "--log", tmp_path, "--trust", tmp_path)
    assert error == "greffier: period: must be a month such as 2026-11 or a year such as 2026\n"


def test_a_report_names_the_folder_that_is_no_log(tmp_path):
    error = refusal("report", "2026-11", "--log", tmp_path, "--trust", tmp_path)
    assert error == f"greffier: log: {tmp_path} holds no checkpoint: name a folder that greffier log export made\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"hello", "must be name+keyID+key"), (b"\xff\xfe\x00", "must be name+keyID+key"), (b"\n", "it is empty")],
)
def test_a_witness_names_the_file_that_has_no_key_of_a_log(tmp_path, content, reason):
    wrong = tmp_path / "wrong"
    wrong.write_bytes(content)
    error = refusal("witness", "init", "--data", tmp_path / "w", "--name", "w.example", "--log", wrong)
    assert error == f"greffier: log: {wrong} is no log.vkey of a log, one verifier key a line: {reason}\n"
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("named", ["endless", "endless.pdf"])
def test_a_file_without_an_end_is_read_up_to_a_limit(data_folder, tmp_path, named):
    endless = tmp_path / named
    endless.symlink_to("/dev/zero")
    error = refusal("verify", endless, "--trust", data_folder / "trust")
    assert error == f"greffier: {endless}: is larger than {64 * 1024 * 1024} bytes\n"


def test_a_bundle_without_an_end_is_none(data_folder, tmp_path):
    endless = tmp_path / "bundle.zip"
    endless.symlink_to("/dev/zero")
    done = commands.run("verify", endless, "--trust", data_folder / "trust")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "NOT GENUINE: step 1, archive, failed; do not trust this bundle"


def test_a_log_with_a_file_without_an_end_is_read_up_to_a_limit(data_folder, tmp_path):
    (tmp_path / "checkpoint").symlink_to("/dev/zero")
    for command in (("audit",), ("report", "2026-11")):
        error = refusal(*command, "--log", tmp_path, "--trust", data_folder / "trust")
        assert error == f"greffier: {tmp_path / 'checkpoint'}: is larger than {64 * 1024 * 1024} bytes\n"


def test_trust_anchors_that_are_no_text_are_refused(data_folder, tmp_path):
    trust = tmp_path / "trust"
    trust.mkdir()
    (trust / "log.vkey").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "checkpoint").write_bytes(b"x\n")
    for command in (("audit",), ("report", "2026-11")):
        assert refusal(*command, "--log", tmp_path, "--trust", trust).count("\n") == 1
