"""The style sheets and script modules of the pages: packaged files, under paths that contain their digest."""

import hashlib
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType

from fastapi import APIRouter, Depends
from starlette.responses import Response

from notifications.errors import NotFoundError
from service.auth.route_guard import open_to_strangers

_FILES = {
    "console.css": "text/css; charset=utf-8",
    "passkeys.js": "text/javascript; charset=utf-8",
    "log-verifier.js": "text/javascript; charset=utf-8",
    "verify.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_YEAR_SECONDS = 31_536_000

router = APIRouter(include_in_schema=False)


def _table() -> tuple[Mapping[str, str], Mapping[str, tuple[bytes, str]]]:
    """Return the path of each file name, and the content of each path."""
    paths, contents = {}, {}
    for name, media_type in _FILES.items():
        content = resources.files(__package__).joinpath("static", name).read_bytes()
        stem, _, ending = name.partition(".")
        hashed = f"{stem}.{hashlib.sha256(content).hexdigest()[:16]}.{ending}"
        paths[name] = f"/static/{hashed}"
        contents[hashed] = content, media_type
    return MappingProxyType(paths), MappingProxyType(contents)


_PATHS, _CONTENTS = _table()


def static_path(name: str) -> str:
    """Return the path of a packaged file; raises KeyError if there is no such file."""
    return _PATHS[name]


@router.get("/static/{name}", dependencies=[Depends(open_to_strangers)])
async def static_file(name: str) -> Response:
    """Return a file from the fixed table. No part of the request reaches the file system."""
    found = _CONTENTS.get(name)
    if found is None:
        raise NotFoundError("file", name)
    content, media_type = found
    headers = {"Cache-Control": f"public, max-age={_YEAR_SECONDS}, immutable"}
    return Response(content, media_type=media_type, headers=headers)
