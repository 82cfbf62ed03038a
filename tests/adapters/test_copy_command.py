"""``greffier copy``: from a data folder to the database that its settings name, with nobody else at work."""

from click.testing import CliRunner

from service.bootstrap.data_folder import prepare_data_folder
from service.cli.main import cli
from service.settings import load_settings
from service.store import open_store
from service.system.file_lock import sole_use
from support.postgresql_server import postgresql_server
from support.records import NOW, SALT, make_customer, make_entry


async def filled(data, monkeypatch, target):
    """Make a data folder whose embedded database holds a customer, and whose settings name the target."""
    prepare_data_folder(data, address="soc@x.example", provider_name="Cloud", now=NOW)
    customer = make_customer()
    store = open_store(load_settings(data).database_file)
    await store.write(lambda tx: (tx.customers.add(customer, SALT), tx.audit.append([make_entry()])))
    await store.close()
    if target is not None:
        monkeypatch.setenv("GREFFIER_DATABASE__URL", target)
    return customer


def copied(data):
    return CliRunner().invoke(cli, ["copy", "--data", str(data)])


async def test_what_the_folder_held_is_in_the_database_that_the_settings_name(tmp_path, monkeypatch):
    target = postgresql_server().empty_database()
    customer = await filled(tmp_path, monkeypatch, target)
    result = copied(tmp_path)
    assert result.exit_code == 0, result.output
    assert "copied and verified" in result.output
    store = open_store(target, migrate=False)
    assert customer in await store.read(lambda tx: list(tx.customers.all()))
    await store.close()
    again = copied(tmp_path)
    assert again.exit_code != 0
    assert "in use" in f"{again.output}{again.exception}"


async def test_a_folder_on_which_a_service_runs_is_not_copied(tmp_path, monkeypatch):
    target = postgresql_server().empty_database()
    await filled(tmp_path, monkeypatch, target)
    with sole_use(tmp_path):
        result = copied(tmp_path)
    assert result.exit_code != 0
    assert "copied and verified" not in result.output
    store = open_store(target)
    assert await store.read(lambda tx: list(tx.customers.all())) == []
    await store.close()


async def test_without_an_address_it_says_what_is_missing(tmp_path, monkeypatch):
    await filled(tmp_path, monkeypatch, None)
    result = copied(tmp_path)
    assert result.exit_code != 0
    assert "database.url" in f"{result.output}{result.exception}"
