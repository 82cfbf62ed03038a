"""The settings in effect, as an administrator or auditor may see them: of a secret, whether it is set."""

import urllib.parse

from fastapi import APIRouter
from pydantic import Field, JsonValue, SecretStr
from starlette.responses import Response

from service.settings import Settings
from service.web.api.fields import Out
from service.web.api.requests import Context, MayReadSettings, json_response

router = APIRouter(prefix="/settings", tags=["settings"])


class SettingOut(Out):
    """One setting."""

    name: str
    value: JsonValue = Field(description='In effect now. A secret is "set" or "not set".')
    secret: bool


class SettingList(Out):
    """The settings, in the order in which they are documented."""

    items: list[SettingOut]


@router.get("", response_model=SettingList, summary="List settings")
async def list_settings(context: Context, access: MayReadSettings) -> Response:
    """Return the settings in effect; they are changed by file or environment, and take effect at a start."""
    await access.trace()
    return json_response(SettingList(items=shown_settings(context.settings)))


def shown_settings(settings: Settings) -> list[SettingOut]:
    """Return the settings without anything secret of them."""
    plain = settings.model_dump(mode="json")
    shown = []
    for name, field in Settings.model_fields.items():
        secret = "SecretStr" in str(field.annotation)
        value = getattr(settings, name)
        if secret:
            is_set = value is not None and (not isinstance(value, SecretStr) or value.get_secret_value() != "")
            shown.append(SettingOut(name=name, value="set" if is_set else "not set", secret=True))
        else:
            shown.append(SettingOut(name=name, value=_without_credentials(plain[name]), secret=False))
    return shown


def _without_credentials(value: JsonValue) -> JsonValue:
    """Return a URL without user, password and query, anything else as it is."""
    if not isinstance(value, str) or "://" not in value:
        return value
    try:
        parts = urllib.parse.urlsplit(value)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "set"
    return urllib.parse.urlunsplit((parts.scheme, host, parts.path, "", ""))
