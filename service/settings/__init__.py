"""Settings: what an operator can set, one class for each table, read from ``greffier.toml`` and the environment.

Each package imports the class of its own part from the module here and gets that part unchanged. Nothing here imports
another package of the service, opens a connection, or writes.
"""

from service.settings.loading import SETTINGS_FILE, load_settings
from service.settings.settings import Settings

__all__ = ["SETTINGS_FILE", "Settings", "load_settings"]
