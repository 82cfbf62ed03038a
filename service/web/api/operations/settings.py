"""The settings in effect, for administrators and auditors. A secret is shown only as set or not set."""

import urllib.parse
from typing import Any, Literal

from pydantic import Field, JsonValue, SecretStr
from starlette.responses import Response

from service.settings import Settings
from service.settings.old_names import OLD_NAMES
from service.settings.settings import FIELDS, is_secret
from service.web.api.fields import Out
from service.web.api.requests import Context, MayReadSettings, json_response
from service.web.api.schemas import api_router

#: Names that settings had in this list before; clients rely on them. New settings are called ``table.key``.
_SHOWN_NAMES = {new: old for old, new in OLD_NAMES.items() if new is not None}

_DATA_PURPOSE = "Folder that holds database, keys and trust anchors; given on the command line."

router = api_router("/api/v1/settings", tags=["settings"])


class SettingOut(Out):
    """One setting."""

    name: str
    value: JsonValue = Field(description='In effect now. A secret is "set" or "not set".')
    secret: bool
    key: str = Field(description="As a settings file names it: `table.key`; empty for the data folder.")
    source: Literal["default", "file", "environment", "start"] = Field(
        description="Where the value comes from; `start` is what the starting command states."
    )
    source_name: str = Field(description="Its name there: the key in the file, or the variable; empty otherwise.")
    purpose: str = Field(description="What it is for, as in docs/settings.md.")


class SettingList(Out):
    """The settings, in the order of their documentation."""

    items: list[SettingOut]


@router.get("", response_model=SettingList, summary="List settings")
async def list_settings(context: Context, access: MayReadSettings) -> Response:
    """Return the settings in effect. They are changed by file or environment, and take effect at the next start."""
    await access.trace()
    return json_response(SettingList(items=shown_settings(context.settings)))


def shown_settings(settings: Settings) -> list[SettingOut]:
    """Return the settings without their secrets."""
    plain = settings.model_dump(mode="json")
    shown = [
        SettingOut(
            name="data",
            value=plain["data"],
            secret=False,
            key="",
            source="start",
            source_name="",
            purpose=_DATA_PURPOSE,
        )
    ]
    for name, field in FIELDS.items():
        table, key = name.split(".")
        source = settings.source_of(name)
        told: dict[str, Any] = {
            "name": _SHOWN_NAMES.get(name, name),
            "key": name,
            "source": source.kind,
            "source_name": source.name,
            "purpose": field.description or "",
        }
        if is_secret(field):
            secret: SecretStr | None = getattr(getattr(settings, table), key)
            is_set = secret is not None and secret.get_secret_value() != ""
            shown.append(SettingOut(value="set" if is_set else "not set", secret=True, **told))
        else:
            value = _without_credentials(plain[table][key])
            shown.append(SettingOut(value=value, secret=False, **told))
    return shown


def _without_credentials(value: JsonValue) -> JsonValue:
    """Return a URL without user, password and query; other values do not change."""
    if not isinstance(value, str) or "://" not in value:
        return value
    try:
        parts = urllib.parse.urlsplit(value)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "set"
    return urllib.parse.urlunsplit((parts.scheme, host, parts.path, "", ""))
