"""The location of the store."""

from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import Field

from notifications.errors import Fault, InvalidInputError
from service.settings.part import Part, first_line


class DatabaseSettings(Part):
    """The PostgreSQL database that several processes share."""

    url: str | None = Field(
        default=None,
        description="Address of the database: `postgresql://role@host/name`. "
        "Without it, the embedded database in the data folder is used, by one process.",
    )
    password_file: Path | None = Field(
        default=None, description="File whose first line is the password of the role, where the address holds none."
    )
    role: str | None = Field(
        default=None,
        description="Role as which the service connects. `greffier migrate` connects as the owner of the tables, and "
        "grants this role what it needs, and no more.",
    )

    def address(self) -> str | None:
        """Return the address with its password, or None for the embedded database; raises InvalidInputError."""
        if self.url is None:
            return None
        if not self.url.startswith(("postgresql://", "postgres://")):
            raise InvalidInputError(Fault("database.url", "must begin with postgresql://"))
        if self.password_file is None:
            return self.url
        password = first_line(self.password_file, "database.password_file")
        parts = urlsplit(self.url)
        user, _, host = parts.netloc.rpartition("@")
        if not user or ":" in user:
            raise InvalidInputError(
                Fault("database.url", "must name a role without a password: database.password_file has the password")
            )
        return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))
