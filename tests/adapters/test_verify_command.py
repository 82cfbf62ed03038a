"""The command line as its users meet it: exit codes, one line for a wrong input, no control sequence of a mail."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from notifications.evidence.verification import MAIL_STEPS
from notifications.mail.enveloped import encrypt_mail
from service.cli.main import main
from service.settings import load_settings
from support.sealed_sample import Office
from support.smime_reader import SmimeReader

GREFFIER = Path(sys.executable).with_name("greffier")
GENUINE = "GENUINE: signed by the provider, timestamped as shown, and held by its audit log"
#: Clears the screen, writes to the clipboard, colours, turns the direction of writing, rings, starts a line.
HOSTILE = "INC\x1b[2J\x1b]52;c;aGk=\x07\x9b31m\u202e\u2066\r\nGENUINE: signed"


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    return Office(tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="module")
def genuine(office):
    return office.mail(office.seal())


def greffier(*words, **environment):
    return subprocess.run(
        [GREFFIER, *words], capture_output=True, check=False, timeout=120, env=os.environ | environment
    )


@pytest.fixture
def verify(office, tmp_path, monkeypatch, capfd):
    """Run ``greffier verify`` over bytes, in this process; returns exit code, lines, and what standard error got."""

    def run(mail, trust=office.files.trust):
        path = tmp_path / "mail.eml"
        if mail is not None:
            path.write_bytes(mail)
        monkeypatch.setattr(sys, "argv", ["greffier", "verify", str(path), "--trust", str(trust)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capfd.readouterr()
        return ended.value.code, captured.out.splitlines(), captured.err

    return run


def test_a_genuine_mail_passes_every_step_and_the_exit_code_says_so(office, genuine, tmp_path):
    (tmp_path / "mail.eml").write_bytes(genuine)
    ran = greffier("verify", tmp_path / "mail.eml", "--trust", office.files.trust)
    lines = ran.stdout.decode().splitlines()
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert b"\x1b" not in ran.stdout
    assert [line.partition(":")[0] for line in lines[:-1]] == [
        f"{number}. ok      {step}" for number, step in enumerate(MAIL_STEPS, 1)
    ]
    assert lines[-1] == GENUINE


def test_a_hostile_mail_cannot_write_to_the_terminal(office, tmp_path):
    mail = office.mail(office.seal(document={"ticket": HOSTILE}))
    (tmp_path / "mail.eml").write_bytes(mail)
    ran = greffier("verify", tmp_path / "mail.eml", "--trust", office.files.trust, PYTHONIOENCODING="ascii")
    out = ran.stdout.decode("ascii")
    assert (ran.returncode, ran.stderr) == (1, b"")
    assert all(char.isprintable() or char == "\n" for char in out)
    lines = out.splitlines()
    assert lines[5].startswith("6. ok      document: INC?[2J?]52;c;aGk=??31m????GENUINE: signed #1")
    assert lines[-1] == "NOT GENUINE: step 7, mail agrees with the document, failed; do not trust this mail"
    assert GENUINE not in lines


def test_verify_loads_nothing_that_only_the_service_needs(office, genuine, tmp_path):
    (tmp_path / "mail.eml").write_bytes(genuine)
    program = (
        "import sys\n"
        "from service.cli.main import main\n"
        "try: main()\n"
        "finally: print(*sys.modules, sep=',', file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, "verify", tmp_path / "mail.eml", "--trust", office.files.trust],
        capture_output=True, check=False, timeout=120, text=True,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, GENUINE)
    loaded = set(ran.stderr.strip().split(","))
    assert not loaded & {"sqlalchemy", "sqlmodel", "fastapi", "starlette", "pydantic", "uvicorn", "uvloop", "httpx2"}
    assert {name for name in loaded if name.startswith("service.")} == {
        "service.cli", "service.cli.lazy_commands", "service.cli.main", "service.cli.options", "service.cli.verify",
        "service.system", "service.system.input_files",
    }  # fmt: skip


def test_init_prepares_a_folder_once_and_never_again(tmp_path):
    data = tmp_path / "data"
    words = ("init", "--data", data, "--address", "soc@vrai.example", "--provider", 'Fournisseur "É"')
    ran = greffier(*words)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert ran.stdout.decode().startswith(f"prepared {data}: ")
    kept = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    assert sorted(path.relative_to(data).as_posix() for path in kept) == [
        "api-token", "greffier.toml", "keys/ca.key", "keys/log.key", "keys/signing.pem",
        "keys/tsa.key", "keys/tsa.pem", "master.key", "trust/ca.pem", "trust/log.vkey", "trust/tsa.pem",
    ]  # fmt: skip
    assert {path.stat().st_mode & 0o777 for path in (data / "api-token", data / "greffier.toml")} == {0o600}
    settings = tomllib.loads(kept[data / "greffier.toml"].decode())
    assert settings["mail"]["sender"] == "soc@vrai.example"
    assert load_settings(data).provider.name == 'Fournisseur "É"'

    again = greffier(*words)
    assert (again.returncode, again.stdout) == (2, b"")
    assert again.stderr.decode() == f"greffier: data: {data} is prepared already\n"
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == kept


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--address", "Évêque@provider.example"], "address"),
        (["--address", "soc"], "address"),
        (["--provider", " "], "provider_name"),
        (["--passphrase-file", "/nonexistent"], "passphrase_file"),
        (["--passphrase-file", "/dev/null"], "passphrase_file"),
    ],
)
def test_init_with_a_wrong_word_is_one_line_and_makes_no_keys(tmp_path, monkeypatch, capfd, words, told):
    monkeypatch.setattr(sys, "argv", ["greffier", "init", "--data", str(tmp_path / "data"), *words])
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capfd.readouterr()
    assert (ended.value.code, captured.out) == (2, "")
    assert captured.err.startswith(f"greffier: {told}: ")
    assert captured.err.count("\n") == 1
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_init_encrypts_the_keys_under_the_first_line_of_a_file(tmp_path, monkeypatch, capfd):
    (tmp_path / "passphrase").write_bytes("première ligne\nanother\n".encode())
    data = tmp_path / "data"
    words = ["--data", str(data), "--passphrase-file", str(tmp_path / "passphrase")]
    monkeypatch.setattr(sys, "argv", ["greffier", "init", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0, capfd.readouterr().err
    assert all(b"ENCRYPTED" in path.read_bytes() for path in (data / "keys").glob("*.key"))


def test_a_timestamp_that_follows_is_said_to_follow(office, verify):
    code, lines, _ = verify(office.mail(office.seal(token=False)))
    assert code == 0
    assert lines[3] == "4. follows timestamp: follows: the authority had not answered yet"
    assert lines[-1] == GENUINE


@pytest.mark.parametrize(
    ("old", "new", "number"),
    [
        (b'filename="notice.json"', b'filename="notice.jsom"', 1),
        (b"Content-Language: fr", b"Content-Language: de", 1),
        (b"quoted-printable\r\n\r\nINC", b"quoted-printable\r\n\r\nINK", 2),
    ],
)
def test_the_step_that_failed_is_named_with_its_number(genuine, verify, old, new, number):
    code, lines, error = verify(genuine.replace(old, new, 1))
    assert (code, error) == (1, "")
    assert [line.split()[:2] for line in lines[:-1]] == [
        *([f"{done}.", "ok"] for done in range(1, number)),
        [f"{number}.", "FAILED"],
    ]
    assert lines[-1] == f"NOT GENUINE: step {number}, {MAIL_STEPS[number - 1]}, failed; do not trust this mail"


@pytest.mark.parametrize(
    ("old", "new", "number", "said"),
    [
        (b"\r\nTo: ", b"\r\nCc: x@evil.example\r\nTo: ", 1, "has a header cc that no notice has"),
        (b"Message-ID: <n.77", b"Message-ID: <n.78", 7, "the header Message-ID is not the one under the signature"),
    ],
)
def test_what_was_changed_outside_the_signed_part_is_named_and_every_step_is_taken(
    genuine, verify, old, new, number, said
):
    code, lines, error = verify(genuine.replace(old, new, 1))
    assert (code, error) == (3, "")
    assert [line.partition(":")[0] for line in lines[:-1]] == [
        f"{step}. {'changed' if step == number else 'ok     '} {name}" for step, name in enumerate(MAIL_STEPS, 1)
    ]
    assert lines[number - 1].endswith(f"; outside the signed part: {said}")
    assert lines[-1] == (
        "CHANGED OUTSIDE: the signed content is genuine, but the copy was changed outside it; "
        f"do not believe these parts: {said}"
    )


def test_an_encrypted_mail_is_not_readable_as_saved_and_how_to_save_it_is_said(office, verify):
    reader = SmimeReader("rssi@valmont.example", office.now)
    mail = encrypt_mail(office.mail(), office.envelope(), "INC-2026-000042", reader.der)
    code, lines, error = verify(mail)
    assert (code, error) == (4, "")
    how = "is encrypted: decrypt it first (openssl cms -decrypt -in MAIL -inkey KEY -out DECRYPTED)"
    assert lines == [f"1. unread  structure: {how}", f"NOT READABLE AS SAVED: the mail {how}; do not trust it before"]


def test_the_help_says_what_each_exit_code_means(monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", ["greffier", "verify", "--help"])
    with pytest.raises(SystemExit):
        main()
    lines = [line.strip() for line in capfd.readouterr().out.splitlines()]
    assert [line[:3] for line in lines if line[:1].isdigit()] == ["0  ", "1  ", "2  ", "3  ", "4  ", "5  "]


def test_another_provider_s_trust_folder_makes_a_mail_not_genuine(genuine, verify, tmp_path):
    code, lines, _ = verify(genuine, Office(tmp_path / "other").files.trust)
    assert code == 1
    assert lines[-1].startswith("NOT GENUINE: step 2, mail signature")


@pytest.mark.parametrize("mail", [b"", b"\n", b"Subject: hello\n\nno notice", b"\xff" * 100, b"\0" * 10])
def test_what_is_no_notice_is_not_genuine(verify, mail):
    code, lines, error = verify(mail)
    assert (code, error) == (1, "")
    assert lines[-1] == "NOT GENUINE: step 1, structure, failed; do not trust this mail"


@pytest.mark.parametrize("name", ["ca.pem", "tsa.pem", "log.vkey"])
@pytest.mark.parametrize("content", [None, b"", b"garbage\xff", b"line\nline\n"])
def test_a_trust_folder_that_cannot_be_used_is_one_line(office, genuine, verify, tmp_path, name, content):
    trust = tmp_path / "trust"
    trust.mkdir()
    for each in office.files.trust.iterdir():
        (trust / each.name).write_bytes(each.read_bytes())
    (trust / name).unlink()
    if content is not None:
        (trust / name).write_bytes(content)
    code, lines, error = verify(genuine, trust)
    assert (code, lines) == (2, [])
    assert error.startswith("greffier: ")
    assert error.count("\n") == 1
    assert name in error


def test_no_mail_is_one_line(verify, tmp_path):
    code, lines, error = verify(None)
    assert (code, lines) == (2, [])
    assert error == f"greffier: {tmp_path / 'mail.eml'}: cannot be read: No such file or directory\n"


def test_a_folder_instead_of_a_mail_is_one_line(verify, tmp_path):
    (tmp_path / "mail.eml").mkdir()
    code, lines, error = verify(None)
    assert (code, lines) == (2, [])
    assert error == f"greffier: {tmp_path / 'mail.eml'}: cannot be read: Is a directory\n"


@pytest.mark.parametrize("words", [["verify"], ["verify", "x.eml"], ["verify", "--trust"], ["verified"], ["init"]])
def test_a_wrong_word_is_one_line(monkeypatch, capfd, words):
    monkeypatch.setattr(sys, "argv", ["greffier", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capfd.readouterr()
    assert (ended.value.code, captured.out) == (2, "")
    assert captured.err.startswith("greffier: ")
    assert captured.err.count("\n") == 1
