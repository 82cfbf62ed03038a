"""Prepare a data folder: demo keys, trust anchors, settings file, interim token. Never overwrites."""

from datetime import datetime
from pathlib import Path

from notifications.errors import Fault, InvalidInputError
from service.auth.tokens import new_token
from service.crypto.demo_keys import KeyFiles, create_demo_keys
from service.crypto.master_key import new_master, passphrase_of, read_masters, write_master_file
from service.settings import SETTINGS_FILE, Settings, load_settings
from service.system.atomic_files import write_new


def is_prepared(data: Path) -> bool:
    """Return whether the folder is a finished data folder."""
    return (data / SETTINGS_FILE).exists()


def prepared_settings(data: Path) -> Settings:
    """Return the settings of a data folder; raises InvalidInputError for a folder that was not prepared."""
    if not is_prepared(data):
        raise InvalidInputError(Fault("data", f"{data} is no data folder: greffier init makes one"))
    return load_settings(data)


def prepare_data_folder(
    data: Path,
    *,
    address: str,
    provider_name: str,
    now: datetime,
    passphrase_file: Path | None = None,
    master_key_file: Path | None = None,
    log_origin: str | None = None,
) -> None:
    """Create keys, trust anchors, settings and token in a folder; raises InvalidInputError if it is prepared already.

    Private keys are encrypted with the passphrase in ``passphrase_file``, or else with one that is derived from the
    master key. An existing ``master_key_file`` is used unchanged; otherwise a new one is written. The name of the log
    is ``log_origin``, or else follows from the domain of the address. The settings file is written last: a folder
    without it is unfinished and not used.
    """
    if is_prepared(data):
        raise InvalidInputError(Fault("data", f"{data} is prepared already"))
    domain = address.rpartition("@")[2]
    if not domain or not address.isascii():
        raise InvalidInputError(Fault("address", "must be an ASCII mail address"))
    origin = log_origin or f"{domain}/greffier"
    if any(char.isspace() or char == "+" for char in origin):
        raise InvalidInputError(Fault("log.origin", "must not contain white space or +"))
    passphrase = _first_line(passphrase_file) if passphrase_file else None
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise InvalidInputError(Fault("data", f"{data} cannot be made: {error.strerror}")) from None
    master_path = master_key_file or data / "master.key"
    masters = read_masters(master_path) if master_path.exists() else [new_master()]
    create_demo_keys(
        KeyFiles(data / "keys", data / "trust"),
        address=address,
        provider_name=provider_name,
        log_origin=origin,
        now=now,
        passphrase=passphrase or passphrase_of(masters[0]),
    )
    if not master_path.exists():
        write_master_file(master_path, masters, new=True)
    write_new(data / "api-token", f"{new_token()}\n".encode(), 0o600)
    tables: dict[str, dict[str, str]] = {
        "provider": {"name": provider_name, "contact_name": f"{provider_name} SOC", "contact_email": address},
        "mail": {"sender": address},
        "log": {"origin": origin},
    }
    if passphrase_file:
        tables.setdefault("signing", {})["key_passphrase_file"] = str(passphrase_file.resolve())
    if master_key_file:
        tables.setdefault("signing", {})["master_key_file"] = str(master_key_file.resolve())
    lines = ["# Settings; an environment variable GREFFIER_<TABLE>__<KEY> wins."]
    for table, values in tables.items():
        lines += ["", f"[{table}]", *(f"{key} = {_toml(value)}" for key, value in values.items())]
    write_new(data / SETTINGS_FILE, ("\n".join(lines) + "\n").encode(), 0o600)


def _toml(text: str) -> str:
    escaped = "".join(
        f"\\u{ord(char):04x}" if ord(char) < 0x20 or char in {'"', "\\", "\x7f"} else char  # noqa: PLR2004 - C0 controls
        for char in text
    )
    return f'"{escaped}"'


def _first_line(path: Path) -> bytes:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InvalidInputError(Fault("passphrase_file", f"cannot be read: {error.strerror}")) from None
    if not lines or not lines[0]:
        raise InvalidInputError(Fault("passphrase_file", "its first line is empty"))
    return lines[0]
