"""The settings in force, each with its source and what it is for; of a secret, only whether it is set."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.settings.loading import SETTINGS_FILE, variable
from service.web.api.operations.settings import SettingOut, shown_settings
from service.web.api.requests import Context, MayReadSettings
from service.web.console.failures import PageRoute
from service.web.console.rendering import page

router = APIRouter(prefix="/administration/settings", route_class=PageRoute, include_in_schema=False)


@router.get("")
async def settings_page(request: Request, context: Context, access: MayReadSettings, show: str = "") -> Response:
    """Show the settings by table: all of them, or those that are stated somewhere."""
    stated_only = show == "stated"
    tables: dict[str, list[SettingOut]] = {}
    data, *settings = shown_settings(context.settings)
    for setting in settings:
        if not stated_only or setting.source != "default":
            tables.setdefault(setting.key.partition(".")[0], []).append(setting)
    await access.trace()
    values: Mapping[str, Any] = {
        "data": data,
        "tables": tables,
        "stated_only": stated_only,
        "settings_file": SETTINGS_FILE,
        "variable": variable,
    }
    return page(request, "settings", access.caller, values)
