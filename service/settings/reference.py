"""The page that documents all settings, generated from their classes: ``python -m service.settings.reference``."""

import json
import re
import sys
from collections.abc import Iterator

from pydantic.fields import FieldInfo

from service.settings.loading import variable
from service.settings.old_names import OLD_NAMES
from service.settings.settings import PARTS, is_secret

_INTRODUCTION = """\
# Settings

This page is made from the classes in `service/settings/`. To make it again:
`python -m service.settings.reference > docs/settings.md`. A test compares it with the classes.

A setting has two names. In `greffier.toml`, in the data folder, it is a key of a table:

```toml
[mail]
host = "relay.provider.example"
tls = "starttls"
```

In the environment it is a variable: `GREFFIER_MAIL__HOST`, with two underscores between table and key. A list or a
mapping is JSON there: `GREFFIER_OIDC__ROLES='{"soc-lead": "approver"}'`.

- The environment wins over the file. A setting that is in neither has its default.
- A name that is not on this page is refused at the start, in the file and in the environment.
- Settings are read at the start of a process. Restart it after a change.
- Put secrets into files or into the environment, never into a command line. No log and no page shows them.
- `GET /api/v1/settings` lists the settings in effect, under their [old names](#old-names).

"No default" means: not set. Then the last column says what happens.
"""

_OLD_NAMES = """\
## Old names

Until settings had tables, they had one flat name each, in the file as `smtp_host`, in the environment as
`GREFFIER_SMTP_HOST`. These names are still read in this release. The log of a start names those that are in use
(`settings.renamed`), without their values. A new name wins over an old one in the same place. The next release refuses
the old names.

| old name | now |
|---|---|
"""


def settings_page() -> str:
    """Return the page as Markdown."""
    sections = [_INTRODUCTION, *(_section(table) for table in PARTS)]
    old = "".join(
        f"| `{old}` | {f'`{new}`' if new else 'fixed, can no longer be set'} |\n" for old, new in OLD_NAMES.items()
    )
    return "\n".join([*sections, _OLD_NAMES + old])


def _section(table: str) -> str:
    part = PARTS[table]
    heading = f"## `[{table}]`\n\n{(part.__doc__ or '').partition(chr(10))[0]}\n\n"
    head = "| key | environment variable | default | unit | what it is for |\n|---|---|---|---|---|\n"
    return heading + head + "".join(_rows(table))


def _rows(table: str) -> Iterator[str]:
    for key, field in PARTS[table].model_fields.items():
        purpose = f"{field.description}{' Secret.' if is_secret(field) else ''}"
        yield f"| `{key}` | `{variable(f'{table}.{key}')}` | {_default(field)} | {_unit(key)} | {purpose} |\n"


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True, validated_data={})
    return "no default" if default is None or default == "" else f"`{json.dumps(default)}`"


def _unit(key: str) -> str:
    found = re.search(r"(?<!per_)(seconds|hours|days|bytes)$|per_(second|minute)", key)
    return found[0].replace("_", " ") if found else ""


if __name__ == "__main__":
    sys.stdout.write(settings_page())
