"""Whether mail can go to a domain: asked of a real name server on loopback that answers as a test says."""

import asyncio
from functools import partial

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import idna
import pytest

from service.customers.mail_domains import mail_domain_fault

ZONE = {
    ("mail.example.", "MX"): ["10 mx.mail.example."],
    ("plain.example.", "A"): ["192.0.2.1"],
    ("six.example.", "AAAA"): ["2001:db8::1"],
    ("none.example.", "MX"): ["0 ."],
    (f"{idna.encode('hôpital.example').decode()}.", "MX"): ["10 mx.mail.example."],
}
EXIST = {name for name, _ in ZONE} | {"bare.example."}


class NameServer(asyncio.DatagramProtocol):
    """Answers from the zone; ``broken.example`` gets SERVFAIL."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        asked = dns.message.from_wire(data)
        (question,) = asked.question
        name, kind = question.name.to_text(), dns.rdatatype.to_text(question.rdtype)
        answer = dns.message.make_response(asked)
        answer.flags |= dns.flags.RA
        if name == "broken.example.":
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif name not in EXIST:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif (name, kind) in ZONE:
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *ZONE[name, kind]))
        self.transport.sendto(answer.to_wire(), address)


@pytest.fixture
async def resolver():
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    asking = dns.asyncresolver.Resolver(configure=False)
    asking.nameservers, asking.port = ["127.0.0.1"], transport.get_extra_info("sockname")[1]
    asking.timeout = asking.lifetime = 0.5
    yield asking
    transport.close()


async def test_a_machine_without_a_name_server_says_nothing_of_a_domain(monkeypatch, tmp_path):
    configuration = tmp_path / "resolv.conf"
    configuration.write_text("search provider.example\n")
    monkeypatch.setattr(dns.asyncresolver, "Resolver", partial(dns.asyncresolver.Resolver, str(configuration)))
    assert await mail_domain_fault("mail.example") is None


@pytest.mark.parametrize("domain", ["mail.example", "plain.example", "six.example", "hôpital.example"])
async def test_a_domain_that_mail_can_go_to_has_nothing_against_it(domain, resolver):
    assert await mail_domain_fault(domain, resolver) is None


@pytest.mark.parametrize(
    ("domain", "fault"),
    [
        ("gone.example", "the domain does not exist"),
        ("none.example", "the domain takes no mail (null MX)"),
        ("bare.example", "the domain has no mail server and no address"),
    ],
)
async def test_a_domain_that_no_mail_can_go_to_is_told(domain, fault, resolver):
    assert await mail_domain_fault(domain, resolver) == fault


async def test_a_name_server_that_fails_says_nothing_of_the_domain(resolver):
    assert await mail_domain_fault("broken.example", resolver) is None
