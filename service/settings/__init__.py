"""Settings: what an operator can set, one class for each table, read from ``greffier.toml`` and the environment.

Every room imports the class of its own part from its module here, and is handed that part as it is. Nothing here
imports another room, opens a connection, or writes.
"""

from service.settings.loading import SETTINGS_FILE, load_settings
from service.settings.settings import Settings

__all__ = ["SETTINGS_FILE", "Settings", "load_settings"]
