"""The pages of one customer: contacts, levels with their dry run, members, log entries, data; in three languages."""

import html
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from service.ports.accounts import Role
from support.people import browser, person, visible_text
from support.scenario import affected, customer, declare, harm, ok, release

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAYLOAD = "<script>alert(1)</script>\"'><img src=x>"


class House:
    """A customer with a notice, and another one; people of the first."""

    def __init__(self, service, api, customers):
        self.service, self.api, self.customers = service, api, customers

    async def who(self, name, role=Role.CUSTOMER_MANAGER, at=0, language="en"):
        return await person(self.service, name, (role, self.customers[at]["id"]), language=language)

    def path(self, area, at=0):
        return f"/customers/{self.customers[at]['id']}/{area}"

    async def contacts(self, at=0):
        return (await ok(self.api.get(f"/customers/{self.customers[at]['id']}/contacts")))["items"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(shared_service, shared_api):
    customers = [
        await customer(shared_api, name, contacts=((f"soc@{domain}.example", "en"),))
        for name, domain in ((f"Alpha {PAYLOAD}", "alpha"), ("Beta", "beta"))
    ]
    entries = [affected(each, data_harm=harm(confidentiality="yes")) for each in customers]
    incident = await declare(
        shared_api, impact="I1", service_harm=harm(confidentiality="yes"), affected_customers=entries
    )
    await release(shared_api, incident)
    await shared_service.sink.wait_for(2, timeout_seconds=60)
    return House(shared_service, shared_api, customers)


def contact_form(who, **changes):
    fields = {
        "name": "CERT", "email": "cert@alpha.example", "role": "security", "language": "fr", "order": "2",
        "mail_content": "full", "active": "yes", "phone": "", "time_zone": "", "smime_certificate": "",
    }  # fmt: skip
    return who.form(**fields | changes)


def certificate(address):
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CERT")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
        .sign(key, hashes.SHA256())
    )


def unsafe(page):
    return "<script>alert" in page or "<img" in page


async def test_a_contact_is_added_once_changed_and_taken_out_of_service(house):
    ann = await house.who("Ann")
    path = house.path("contacts")
    async with browser(house.service, ann) as client:
        page = (await client.get(f"{path}/new")).text
        fields = contact_form(ann, name=PAYLOAD, form_id=re.search(r'name="form_id" value="([^"]+)"', page)[1])
        for _ in range(2):
            answer = await client.post(path, data=fields)
            assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?done=added")
        added = next(item for item in await house.contacts() if item["email"] == "cert@alpha.example")
        assert [item["email"] for item in await house.contacts()].count("cert@alpha.example") == 1
        assert added["verified_at"] is None
        page = (await client.get(f"{path}?done=added")).text
        assert not unsafe(page)
        assert "Not confirmed yet" in page
        own = f"{path}/{added['id']}"
        page = (await client.get(own)).text
        assert html.escape(PAYLOAD, quote=False).split('"')[0] in page
        assert not unsafe(page)
        answer = await client.post(
            own, data=contact_form(ann, name="CERT team", version="1", phone="+33 1 23 45 67 89")
        )
        assert answer.headers["location"] == f"{path}?done=changed"
        # What somebody else did in the meantime is not overwritten; what was typed is kept.
        answer = await client.post(own, data=contact_form(ann, name="My own name", version="1"))
        assert answer.status_code == 409
        assert 'value="My own name"' in answer.text
        assert "Somebody changed this contact" in answer.text
        # Pages of this service alone send its forms.
        assert (await client.post(f"{own}/remove", data={"version": "2"})).status_code == 403
        answer = await client.post(f"{own}/remove", data=ann.form(version="2"))
        assert answer.headers["location"] == f"{path}?done=removed"
        assert (await client.post(f"{own}/remove", data=ann.form(version="2"))).status_code == 409
    removed = next(item for item in await house.contacts() if item["id"] == added["id"])
    assert (removed["active"], removed["name"], removed["phone"]) == (False, "CERT team", "+33 1 23 45 67 89")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "a\nb"),
        ("email", "no address"),
        ("email", "soc@alpha.example"),
        ("phone", "call me"),
        ("order", "0"),
        ("order", "first"),
        ("time_zone", "Europe/Nowhere"),
        ("role", "king"),
        ("language", "es"),
        ("mail_content", "everything"),
        ("smime_certificate", "no certificate"),
    ],
)
async def test_what_is_wrong_is_said_at_its_field_and_nothing_typed_is_lost(house, field, value):
    eve = await house.who(f"Eve{len(value)}{field}")
    before = await house.contacts()
    async with browser(house.service, eve) as client:
        fields = contact_form(eve, name="Kept name", email="kept@alpha.example", form_id="f") | {field: value}
        answer = await client.post(house.path("contacts"), data=fields)
    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text
    assert f'aria-describedby="{field}-' in answer.text or f"{field}-error" in answer.text
    assert "Kept name" in answer.text or field == "name"
    assert 'name="form_id" value="f"' in answer.text
    assert await house.contacts() == before


async def test_a_certificate_is_uploaded_as_a_file_of_either_form(house):
    eve = await house.who("Fay")
    for name, form in (("pem", Encoding.PEM), ("der", Encoding.DER)):
        address = f"{name}@alpha.example"
        made = certificate(address)
        async with browser(house.service, eve) as client:
            answer = await client.post(
                house.path("contacts"),
                data=contact_form(eve, name=name, email=address),
                files={"certificate_file": ("c.crt", made.public_bytes(form))},
            )
            assert answer.status_code == 303, answer.text
            shown = (await client.get(house.path("contacts"))).text
            assert made.fingerprint(hashes.SHA256()).hex() in shown
    async with browser(house.service, eve) as client:
        other = certificate("somebody@else.example").public_bytes(Encoding.DER)
        answer = await client.post(
            house.path("contacts"),
            data=contact_form(eve, name="X", email="x@alpha.example"),
            files={"certificate_file": ("c.crt", other)},
        )
        assert (answer.status_code, 'id="smime_certificate-error"' in answer.text) == (422, True)


async def test_levels_are_tried_on_past_incidents_before_they_are_chosen(house):
    gus = await house.who("Gus")
    path = house.path("levels")
    async with browser(house.service, gus) as client:
        page = (await client.get(path)).text
        assert "default levels apply" in page
        assert "soc@alpha.example" in page
        fields = gus.form(mode="none")
        page = visible_text((await client.post(f"{path}/dry-run", data=fields)).text)
        assert "Notices fewer: 1." in page
        assert "you would not have been notified" in page
        assert "Nothing was recorded." in page
        fields = gus.form(mode="chosen", **{"impacts-0": "I1", "data_harm-0": "confidentiality", "priorities-1": "P1"})
        page = (await client.post(f"{path}/dry-run", data=fields)).text
        assert "You would have had the same notices." in page
        # The form is as it was filled in.
        assert re.search(r'name="impacts-0" value="I1" checked', page)
        assert re.search(r'name="priorities-1" value="P1" checked', page)
        answer = await client.post(path, data=fields)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?done=chosen")
        page = (await client.get(path)).text
        assert "Version 1" in page
        assert re.search(r'name="impacts-0" value="I1" checked', page)
        for wrong in ({"mode": "chosen"}, {"mode": "x"}, {}, {"mode": "chosen", "impacts-0": "I9"},
                      {"mode": "chosen", "impacts-0": PAYLOAD}):  # fmt: skip
            answer = await client.post(path, data=gus.form(**wrong))
            assert answer.status_code == 422, wrong
            assert not unsafe(answer.text)
    profiles = (await ok(house.api.get(f"/customers/{house.customers[0]['id']}/profiles")))["items"]
    assert [item["choices"][0]["impacts"] for item in profiles] == [["I1"]]
    everything = {name: [] for name in ("impacts", "criticalities", "priorities", "data_harm")}
    for mode, choices in (("default", None), ("all", [everything]), ("none", [])):
        async with browser(house.service, gus) as client:
            assert (await client.post(path, data=gus.form(mode=mode))).status_code == 303
            shown = (await client.get(path)).text
            assert re.search(rf'name="mode" value="{mode}" checked', shown)
        profiles = (await ok(house.api.get(f"/customers/{house.customers[0]['id']}/profiles")))["items"]
        assert profiles[-1]["choices"] == choices


async def test_members_are_invited_and_removed_and_the_last_manager_stays(house):
    hal = await house.who("Hal", at=1)
    path = house.path("members", 1)
    async with browser(house.service, hal) as client:
        page = (await client.get(path)).text
        form_id = re.search(r'name="form_id" value="([^"]+)"', page)[1]
        fields = hal.form(email="new@beta.example", role="customer_member", language="de", form_id=form_id)
        for _ in range(2):
            answer = await client.post(path, data=fields)
            assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?done=invited")
        page = visible_text((await client.get(path)).text)
        assert "new@beta.example" in page
        assert "Invited, not accepted yet" in page
        again = await client.post(path, data=hal.form(email="new@beta.example", role="customer_member", language="de"))
        assert (again.status_code, "member or invited already" in again.text) == (409, True)
        wrong = await client.post(path, data=hal.form(email=PAYLOAD, role="customer_manager", language="de"))
        assert (wrong.status_code, 'id="email-error"' in wrong.text, unsafe(wrong.text)) == (422, True, False)
        assert re.search(r'<option value="customer_manager" selected', wrong.text)
        forged = await client.post(path, data=hal.form(email="x@beta.example", role="administrator", language="de"))
        assert forged.status_code == 422
        members = (await ok(house.api.get(f"/customers/{house.customers[1]['id']}/members")))["items"]
        own = next(item["id"] for item in members if item["email"] == "hal@people.example")
        new = next(item["id"] for item in members if item["email"] == "new@beta.example")
        answer = await client.post(f"{path}/{own}/remove", data=hal.form())
        assert (answer.status_code, "last manager" in answer.text) == (409, True)
        assert (await client.post(f"{path}/{new}/remove", data=hal.form())).headers["location"].endswith("done=removed")
        assert "new@beta.example" not in (await client.get(path)).text


async def test_the_log_entries_are_shown_a_page_at_a_time_each_with_its_proof(house):
    ida = await house.who("Ida", Role.CUSTOMER_MEMBER)
    path = house.path("trail")
    async with browser(house.service, ida) as client:
        indices, following = [], path
        while following:
            page = (await client.get(following)).text
            assert not unsafe(page)
            # Entries have words, not codes alone.
            assert re.search(r"<h2>[^<]* · <code>", page) is None
            indices += [int(each) for each in re.findall(r'href="[^"]*/trail/(\d+)/proof', page)]
            found = re.search(r'rel="next" href="([^"]+)"', page)
            following = found and html.unescape(found[1])
        assert indices == sorted(set(indices))
        found, cursor = [], None
        while True:
            page = await ok(
                client.get(f"/api/v1{path}", params={"limit": 200} | ({"cursor": cursor} if cursor else {}))
            )
            found += [item["index"] for item in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        # Entries may have come since; none is missing.
        assert found[: len(indices)] == indices
        assert len(indices) > 5
        proof = await client.get(f"/api/v1{path}/{indices[0]}/proof")
        assert proof.text.startswith("c2sp.org/tlog-proof@v1")
        assert (await client.get(f"{path}?cursor=x")).status_code == 422


async def test_everything_is_taken_along_in_one_file_and_nothing_of_others(house):
    jan = await house.who("Jan", Role.CUSTOMER_MEMBER)
    async with browser(house.service, jan) as client:
        page = (await client.get(house.path("data"))).text
        assert not unsafe(page)
        links = [html.unescape(each) for each in re.findall(r'href="([^"]+)" download', page)]
        assert len(links) == 4
        for link in links:
            assert (await client.get(link)).status_code == 200, link
        content = (await client.get(links[0])).text
    found = json.loads(content)
    assert set(found) == {
        "customer", "contacts", "reachability", "profiles", "legal_profiles", "members", "webhooks", "notices", "trail",
    }  # fmt: skip
    assert found["customer"]["name"] == f"Alpha {PAYLOAD}"
    (notice,) = found["notices"]
    assert notice["document"]["customer"]["id"] == house.customers[0]["id"]
    assert notice["deliveries"]
    assert "Beta" not in content
    assert house.customers[1]["id"] not in content
    # An administrator sees no notices and no trail.
    admin = await person(house.service, "Kai", (Role.ADMINISTRATOR, None))
    async with browser(house.service, admin) as client:
        answer = await client.get(f"/api/v1/customers/{house.customers[0]['id']}/export")
        assert not {"notices", "trail"} & set(answer.json())


async def test_a_member_reads_and_changes_nothing_and_a_stranger_finds_nothing(house):
    lea, stranger = await house.who("Lea", Role.CUSTOMER_MEMBER), await house.who("Mia", at=1)
    async with browser(house.service, lea) as client:
        for area in ("contacts", "levels", "members", "trail", "data"):
            page = await client.get(house.path(area))
            assert page.status_code == 200, area
            assert "primary" not in page.text, area
        for area, fields in (("contacts", contact_form(lea)), ("levels", lea.form(mode="none")),
                             ("members", lea.form(email="x@alpha.example"))):  # fmt: skip
            assert (await client.post(house.path(area), data=fields)).status_code == 403
        assert (await client.get(house.path("contacts/new"))).status_code == 403
    async with browser(house.service, stranger) as client:
        for area in ("contacts", "contacts/new", "levels", "members", "trail", "data"):
            assert (await client.get(house.path(area))).status_code == 404, area


@pytest.mark.parametrize(
    ("language", "headings"),
    [
        ("fr", ("Contacts désignés", "Niveaux de notification", "Membres", "Ce que dit le journal")),
        ("de", ("Ansprechpartner", "Benachrichtigungsstufen", "Mitglieder", "Was das Protokoll sagt")),
    ],
)
async def test_pages_speak_the_readers_language(house, language, headings):
    reader = await house.who(f"Reader{language}", language=language)
    async with browser(house.service, reader) as client:
        for area, heading in zip(("contacts", "levels", "members", "trail"), headings, strict=True):
            page = (await client.get(house.path(area))).text
            assert f"<h1>{heading}</h1>" in page
            assert f'<html lang="{language}">' in page
        assert (await client.get(house.path("data"))).status_code == 200
