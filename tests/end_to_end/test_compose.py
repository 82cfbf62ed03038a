"""``compose.yaml`` as far as it can be known without a container engine: its own rules, the commands, the settings."""

import ipaddress
import re
from pathlib import Path

import click
import pytest
import yaml

from service.cli.main import cli
from service.settings import load_settings

ROOT = Path(__file__).parents[2]
#: What the compose specification knows, as far as this file may use it.
TOP_LEVEL = {"name", "services", "networks", "volumes", "configs", "secrets"}
OF_A_SERVICE = {
    "build", "cap_drop", "command", "configs", "depends_on", "entrypoint", "environment", "healthcheck", "image",
    "networks", "ports", "profiles", "read_only", "restart", "secrets", "security_opt", "shm_size", "stop_grace_period",
    "tmpfs", "user", "volumes",
}  # fmt: skip
OF_A_HEALTHCHECK = {"test", "interval", "timeout", "retries", "start_period", "disable"}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def services(compose):
    return compose["services"]


@pytest.fixture(scope="module")
def ours(services):
    """The services that run the program."""
    return {name: service for name, service in services.items() if service["image"] == "greffier"}


def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text)[1])


def mounts(service):
    """Return target -> (source, read-only) of each volume."""
    found = {}
    for text in service.get("volumes", ()):
        source, target, *mode = text.split(":")
        found[target] = (source, mode == ["ro"])
    return found


def test_it_says_nothing_that_the_specification_does_not_know(compose, services):
    assert {key for key in compose if not key.startswith("x-")} <= TOP_LEVEL
    for name, service in services.items():
        assert set(service) <= OF_A_SERVICE, name
        assert set(service.get("healthcheck", {})) <= OF_A_HEALTHCHECK, name
        for kind in ("command", "entrypoint"):
            assert all(isinstance(word, str) for word in service.get(kind, ())), name
        assert all(isinstance(value, str) for value in service.get("environment", {}).values()), name


def test_what_it_names_is_there(compose, services):
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in services, name
            assert how["condition"] in CONDITIONS, name
            if how["condition"] == "service_healthy":
                assert "test" in services[other]["healthcheck"]
            if how["condition"] == "service_completed_successfully":
                assert services[other]["restart"] == "no"
        assert set(service["networks"]) <= set(compose["networks"]), name
        assert set(service.get("secrets", ())) <= set(compose["secrets"]), name
        assert {item["source"] for item in service.get("configs", ())} <= set(compose.get("configs") or {}), name
        assert {source for source, _ in mounts(service).values()} <= set(compose["volumes"]), name
    used = {source for service in services.values() for source, _ in mounts(service).values()}
    assert used == set(compose["volumes"])


def test_the_commands_are_those_of_the_program(ours):
    started = set()
    for name, service in ours.items():
        words = [*service.get("entrypoint", ["greffier"])[1:], *service.get("command", ())]
        command = cli.commands[words[0]]
        with command.make_context(words[0], words[1:]) as context:
            assert isinstance(context, click.Context), name
            assert str(context.params["data"]) == "/data"
        started.add((words[0], "--no-work" in words))
    assert started == {("init", False), ("migrate", False), ("serve", True), ("worker", False)}
    assert sum(service.get("command", [""])[0] == "worker" for service in ours.values()) == 2


def test_the_settings_are_those_of_the_program(ours, tmp_path, monkeypatch):
    for name, service in ours.items():
        with monkeypatch.context() as environment:
            for key, value in service.get("environment", {}).items():
                environment.setenv(key, value)
            # An unknown name or a value that cannot be is refused.
            assert load_settings(tmp_path).old_names == (), name


def test_the_health_that_is_asked_for_is_where_the_process_answers(ours):
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for service in ours.values():
        words = service.get("command", ())
        if "serve" in words:
            assert "healthcheck" not in service
            assert f"127.0.0.1:{words[words.index('--port') + 1]}/healthz" in dockerfile
        elif "worker" in words:
            port = words[words.index("--health-port") + 1]
            assert f"http://127.0.0.1:{port}/healthz" in service["healthcheck"]["test"][-1]
        else:
            assert service["healthcheck"] == {"disable": True}


def test_every_process_has_as_few_rights_as_it_can(services):
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["user"].split(":")[0] not in {"", "0", "root"}, name


def test_the_database_is_reached_by_the_services_alone(compose, services):
    assert "ports" not in services["database"]
    assert services["database"]["networks"] == ["inside"]
    assert compose["networks"]["inside"]["internal"] is True
    for name, service in services.items():
        for text in service.get("ports", ()):
            assert name == "serve"
            assert ipaddress.ip_address(text.split(":")[0]).is_loopback


def test_secrets_come_by_files_and_the_owner_of_the_tables_is_for_migrating_alone(compose, services):
    assert all(set(secret) == {"file"} for secret in compose["secrets"].values())
    for name, service in services.items():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|TOKEN|KEY", key):
                assert key.endswith("_FILE"), (name, key)
                assert value.removeprefix("/run/secrets/") in service["secrets"], (name, key)
            assert not re.search(r"://[^/@]*:[^/@]*@", value), (name, key)
    owner = {name for name, service in services.items() if "database_owner_password" in service.get("secrets", ())}
    assert owner == {"database", "migrate"}
    roles = {
        name: re.match(r"postgresql://(\w+)@", service["environment"]["GREFFIER_DATABASE__URL"])[1]
        for name, service in services.items()
        if "GREFFIER_DATABASE__URL" in service.get("environment", {})
    }
    assert roles == {"migrate": "greffier_owner"} | dict.fromkeys(("serve", "worker-1", "worker-2"), "greffier_app")
    script = compose["configs"]["application_role"]["content"]
    assert "CREATE ROLE greffier_app LOGIN" in script
    # A single dollar would be taken by compose itself.
    assert not re.search(r"(?<!\$)\$(?!\$)", script)


def test_each_process_has_its_own_head_of_the_log_and_workers_only_read_keys(ours):
    heads = []
    for name, service in ours.items():
        by_target = mounts(service)
        if service.get("environment", {}).get("GREFFIER_LOG__HEAD_FILE") and name != "migrate":
            assert service["environment"]["GREFFIER_LOG__HEAD_FILE"].rpartition("/")[0] in by_target
            heads.append(by_target["/head"][0])
        assert by_target["/data"] == ("keys", name not in {"serve", "init"})
    assert len(heads) == len(set(heads)) == 3


def test_the_image_has_the_folders_that_are_mounted(ours):
    made = re.search(r"install --directory .*--mode=0700 (.+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"))[1]
    assert {target for service in ours.values() for target in mounts(service)} == set(made.split())


def test_a_stop_has_time_to_hand_back(ours):
    for service in ours.values():
        limit = service.get("environment", {}).get("GREFFIER_LIMITS__STOP_SECONDS")
        if limit:
            assert seconds(service["stop_grace_period"]) > int(limit) + 10


def test_only_the_way_of_the_proxy_states_the_addresses_of_clients(compose, services, tmp_path, monkeypatch):
    """The published port is reached through the gateway of the network that is not internal."""
    monkeypatch.setenv(
        "GREFFIER_ACCESS__TRUSTED_PROXIES", services["serve"]["environment"]["GREFFIER_ACCESS__TRUSTED_PROXIES"]
    )
    (trusted,) = load_settings(tmp_path).access.trusted_proxies
    (network,) = compose["networks"]["outside"]["ipam"]["config"]
    assert str(trusted.network_address) == network["gateway"]
    assert trusted.num_addresses == 1
    assert trusted.subnet_of(ipaddress.ip_network(network["subnet"]))
