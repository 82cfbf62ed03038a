"""Behind a proxy: whose address counts, and who may state it."""

import httpx2
import pytest

from service.auth.rate_limits import counted_address
from service.cli.demo.environment import embedded_service

BURST = 2


async def statuses(url, *forwarded):
    """Return the status of a request without a credential for each X-Forwarded-For."""
    async with httpx2.AsyncClient(base_url=url, timeout=120) as stranger:
        answers = [
            await stranger.get("/api/v1/incidents", headers={} if value is None else {"X-Forwarded-For": value})
            for value in forwarded
        ]
    return [answer.status_code for answer in answers]


def service_behind(data_folder, *proxies):
    """Return a service that lets a stranger ask twice."""
    return embedded_service(
        data_folder,
        access__trusted_proxies=proxies,
        access__stranger_requests_burst=BURST,
        access__stranger_requests_per_second=0.0001,
    )


async def test_a_stranger_behind_a_trusted_proxy_does_not_use_up_the_rate_of_others(data_folder, service_log):
    async with service_behind(data_folder, "127.0.0.1") as running:
        one, other = "198.51.100.7", "203.0.113.9"
        assert await statuses(running.url, one, one, one, other, other, other) == [401, 401, 429] * 2
        # The right-most address that is no proxy counts: what stands before it, the client itself wrote.
        assert await statuses(running.url, f"192.0.2.1, {one}", f"192.0.2.2, {one}") == [429, 429]
        assert await statuses(running.url, f"192.0.2.77, {one}, 127.0.0.1") == [429]
        assert await statuses(running.url, f"{one}, 192.0.2.3") == [401]


async def test_nobody_but_a_trusted_proxy_states_an_address(data_folder, service_log):
    async with service_behind(data_folder, "10.0.0.0/8") as running:
        assert await statuses(running.url, "192.0.2.1", "192.0.2.2", "192.0.2.3", None) == [401, 401, 429, 429]


async def test_loopback_is_not_trusted_unless_it_is_named(data_folder, service_log, monkeypatch):
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    async with service_behind(data_folder) as running:
        assert await statuses(running.url, "192.0.2.1", "192.0.2.2", "192.0.2.3") == [401, 401, 429]


async def test_a_network_of_ipv6_counts_as_one_client(data_folder, service_log):
    async with service_behind(data_folder, "127.0.0.0/8") as running:
        of_one = ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:1::3"]
        assert await statuses(running.url, *of_one, "2001:db8:0:2::1") == [401, 401, 429, 401]


async def test_a_blocked_stranger_blocks_nobody_elses_sign_in(data_folder, service_log):
    """The count of wrong passwords follows the address too."""
    async with (
        embedded_service(data_folder, access__trusted_proxies=("127.0.0.1",)) as running,
        httpx2.AsyncClient(base_url=running.url, timeout=120) as browser,
    ):

        async def tried(number, address):
            form = {"email": f"nobody{number}@people.example", "password": "wrong wrong wrong"}
            return (await browser.post("/sign-in", data=form, headers={"X-Forwarded-For": address})).status_code

        first = [await tried(number, "198.51.100.7") for number in range(22)]
        assert first[-1] == 429
        assert await tried(99, "203.0.113.9") != 429


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:1::", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_what_an_address_is_counted_by(host, counted):
    assert counted_address(host) == counted
