"""What a delivery refuses: a contact of another customer gets nothing, whatever the store says."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from notifications.delivery.delivery import ChannelKind, OutcomeKind
from notifications.delivery.webhook import EndpointState
from notifications.ports import DueDelivery
from notifications.use_cases.notices.deliver_notice import DeliveryDependencies, attempt_notice, deliver_notice
from notifications.use_cases.notices.sealing_dependencies import SealingDependencies
from support.notice_samples import PROVIDER
from support.records import make_contact, make_customer, make_delivery, make_incident, make_notice, make_sealed
from support.sealed_sample import ADDRESS, Office
from support.serving_records import make_endpoint

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


class _ReachedError(Exception):
    """The channel was asked to send."""


class _Channel:
    kind = ChannelKind.EMAIL

    async def send(self, *, recipient, **_message):
        raise _ReachedError(recipient)


@pytest.fixture(scope="module")
def delivering(tmp_path_factory):
    office = Office(tmp_path_factory.mktemp("office"))
    sealing = SealingDependencies(
        unit_of_work=None, log=None, signer=office.signer, timestamp_authority=None, clock=office.clock,
        identifiers=None, agreements=None, provider=PROVIDER, sender=ADDRESS,
    )  # fmt: skip
    return DeliveryDependencies(sealing, {ChannelKind.EMAIL: _Channel()}, "Sender", lambda: 0.5)


def due(office_document, **wrong):
    """Return a delivery to a contact of the notice's customer, but for what is wrong."""
    own = make_customer()
    parties = {"notice": own, "delivery": own, "contact": own} | wrong
    notice = make_notice(make_incident(), parties["notice"])
    contact = make_contact(parties["contact"])
    delivery = make_delivery(notice, contact, customer_id=parties["delivery"].id)
    return DueDelivery(delivery, notice, make_sealed(notice, document=office_document), own, contact, ())


@pytest.mark.parametrize("wrong", ["notice", "delivery", "contact"])
async def test_what_names_two_customers_is_sent_to_nobody(delivering, wrong):
    with pytest.raises(LookupError, match="of another customer"):
        await deliver_notice(due(b"{}", **{wrong: make_customer()}), delivering)


async def test_what_names_one_is_sent_to_its_contact(delivering):
    item = due(b"{}")
    with pytest.raises(_ReachedError, match=item.contact.email):
        await deliver_notice(item, delivering)


class _Webhook:
    def __init__(self):
        self.posted = []

    async def post(self, *, endpoint, **_message):
        self.posted.append(endpoint)
        raise _ReachedError(endpoint.url)


def due_at_endpoint(**wrong):
    """Return a delivery to an endpoint of the notice's customer, but for what is wrong."""
    own = make_customer()
    parties = {"notice": own, "delivery": own, "endpoint": own} | wrong
    notice = make_notice(make_incident(), parties["notice"])
    endpoint = make_endpoint(parties["endpoint"], state=EndpointState.ACTIVE)
    changes = {"channel": ChannelKind.WEBHOOK, "contact_id": None, "endpoint_id": endpoint.id}
    delivery = make_delivery(notice, None, customer_id=parties["delivery"].id, **changes)
    sealed = make_sealed(notice, document=b'{"kind":"first","sequence":1,"ticket":"INC-1","tlp":"TLP:GREEN"}')
    return DueDelivery(delivery, notice, sealed, own, None, (), endpoint)


@pytest.mark.parametrize("wrong", ["notice", "delivery", "endpoint"])
async def test_a_system_of_another_customer_is_posted_nothing(delivering, wrong):
    webhook = _Webhook()
    with pytest.raises(LookupError, match="of another customer"):
        await deliver_notice(due_at_endpoint(**{wrong: make_customer()}), replace(delivering, webhook=webhook))
    assert webhook.posted == []


async def test_a_system_of_its_own_customer_is(delivering):
    with pytest.raises(_ReachedError, match="https://hooks"):
        await deliver_notice(due_at_endpoint(), replace(delivering, webhook=_Webhook()))


@pytest.mark.parametrize("state", [EndpointState.DISABLED, EndpointState.FAILING, EndpointState.GONE])
async def test_an_endpoint_out_of_use_is_posted_nothing_and_the_delivery_says_why(delivering, state):
    item = due_at_endpoint()
    item = replace(item, endpoint=replace(item.endpoint, state=state, state_reason="410 Gone"))
    made = await attempt_notice(item, replace(delivering, webhook=_Webhook()))
    assert (made.outcome.kind, made.begun.content) == (OutcomeKind.PERMANENT_FAILURE, None)
    assert "410 Gone" in made.outcome.text
