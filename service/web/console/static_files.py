"""The style sheets and script modules of the pages: packaged files, under paths that contain their digest."""

import hashlib
import re
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType

from fastapi import APIRouter, Depends
from starlette.responses import Response

from notifications.errors import NotFoundError
from service.auth.route_guard import open_to_strangers

#: What is served, by file ending.
_MEDIA_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
#: ``import … from "./other.js"`` in a module.
_IMPORT = re.compile(rb'(?m)^((?:import|export|\})[^"\n]*\bfrom\s*")\./([\w-]+\.js)(")')
_YEAR_SECONDS = 31_536_000

router = APIRouter(include_in_schema=False)


def _table() -> tuple[Mapping[str, str], Mapping[str, tuple[bytes, str]]]:
    """Return the path of each file name, and the content of each path; imports between modules use these paths."""
    paths, contents = {}, {}
    folder = resources.files(__package__).joinpath("static")

    def add(name: str) -> str:
        if name not in paths:
            content = _IMPORT.sub(
                lambda found: found[1] + add(found[2].decode()).encode() + found[3], folder.joinpath(name).read_bytes()
            )
            stem, _, ending = name.rpartition(".")
            hashed = f"{stem}.{hashlib.sha256(content).hexdigest()[:16]}.{ending}"
            paths[name] = f"/static/{hashed}"
            contents[hashed] = content, _MEDIA_TYPES[ending]
        return paths[name]

    for file in folder.iterdir():
        add(file.name)
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
