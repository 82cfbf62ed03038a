"""A data folder of the release before, with flat names in its settings, opens; an unknown name stops every process."""

import json

import httpx2

from service.cli.demo.environment import ADDRESS, embedded_service
from service.settings import load_settings
from service.settings.old_names import OLD_NAMES
from service.settings.settings import FIELDS
from support.processes import greffier

#: As ``greffier init`` wrote it before settings had tables.
FLAT = f"""\
# Settings; an environment variable GREFFIER_<NAME> wins.
provider_name = "Older Cloud"
contact_name = "Older Cloud SOC"
contact_email = "{ADDRESS}"
mail_from = "{ADDRESS}"
log_origin = "demo-cloud.example/greffier"
"""


async def test_a_folder_with_flat_names_is_served_and_its_log_names_the_new_ones_once(data_folder, service_log):
    made = load_settings(data_folder)
    (data_folder / "greffier.toml").write_text(
        FLAT + 'oidc_client_secret = "s3cret-value"\nwitness_timeout_seconds = 9\n'
    )
    async with embedded_service(data_folder) as running:
        settings = running.parts.context.settings
        assert (settings.mail.sender, settings.log) == (made.mail.sender, made.log)
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            answer = await api.get("/settings")
    [told] = [json.loads(line) for line in service_log.getvalue().splitlines() if "settings.renamed" in line]
    assert told["level"] == "warning"
    assert told["names"] == [
        "greffier.toml: provider_name is now called provider.name",
        "greffier.toml: contact_name is now called provider.contact_name",
        "greffier.toml: contact_email is now called provider.contact_email",
        "greffier.toml: mail_from is now called mail.sender",
        "greffier.toml: log_origin is now called log.origin",
        "greffier.toml: oidc_client_secret is now called oidc.client_secret",
        "greffier.toml: witness_timeout_seconds can no longer be set and has no effect: remove it",
    ]
    assert "s3cret-value" not in service_log.getvalue() + answer.text
    values = {item["name"]: item["value"] for item in answer.json()["items"]}
    renamed = {new for new in OLD_NAMES.values() if new is not None}
    kept = {old for old, new in OLD_NAMES.items() if new is not None}
    # Settings that have no old name are listed under their own.
    assert set(values) == {"data"} | kept | (set(FIELDS) - renamed)
    assert (values["provider_name"], values["oidc_client_secret"]) == ("Older Cloud", "set")


async def test_a_folder_with_new_names_is_served_without_a_warning(data_folder, service_log):
    async with embedded_service(data_folder):
        pass
    assert "settings.renamed" not in service_log.getvalue()


async def test_an_unknown_variable_ends_a_process_with_one_line(data_folder):
    async with greffier("serve", "--data", data_folder, up=False, mail__hots="s3cret-value") as running:
        assert await running.end() == 2
    assert running.lines == ["greffier: GREFFIER_MAIL__HOTS: is no setting"]
