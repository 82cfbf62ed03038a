"""The newest migration is found by the names of the files; Alembic must find the same one."""

from alembic.config import Config
from alembic.script import ScriptDirectory

from service.store.engines.migration import newest_revision


def test_the_newest_revision_is_the_only_head():
    configuration = Config()
    configuration.set_main_option("script_location", "service.store:migrations")
    assert ScriptDirectory.from_config(configuration).get_heads() == [newest_revision()]
