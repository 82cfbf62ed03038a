"""Fallback, escalation and calls as data: what is done when, and that nothing is lost or doubled by any clock."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifications.customer.records import ContactRole
from notifications.delivery.acknowledgement import AcknowledgedVia, Acknowledgement
from notifications.delivery.call_task import CallOutcome, CallReason, CallRecord, CallTask, CallTaskState
from notifications.delivery.delivery import ChannelKind, Delivery, DeliveryCause, DeliveryState, delivery_id
from notifications.delivery.escalation_plan import (
    DEFAULT_ESCALATION_POLICY,
    EscalationStatus,
    NoticeClock,
    StepReason,
    plan_escalation,
    start_escalation,
)
from notifications.delivery.webhook import EndpointState, WebhookEndpoint
from support.records import NOW, after, make_contact, make_customer, make_delivery, make_incident, make_notice

POLICY = DEFAULT_ESCALATION_POLICY
DUE = timedelta(hours=8)


def make_endpoint(customer, **changes):
    made = WebhookEndpoint(
        uuid4(), customer.id, "https://hook.example/in", "", EndpointState.ACTIVE, None, NOW, "account:a"
    )
    return replace(made, **changes)


def watch(contacts=1, fallback=0, *, due=DUE, within=None, endpoints=0, **changes):
    """Return a notice sealed now, with a first delivery to each contact that is not a fallback."""
    customer = make_customer(acknowledge_within_seconds=within)
    notice = make_notice(make_incident(), customer, due_at=NOW + due)
    people = [make_contact(customer, order=number) for number in range(1, contacts + 1)]
    people += [make_contact(customer, order=number, fallback=True) for number in range(1, fallback + 1)]
    first = people[:contacts] or people
    made = NoticeClock(
        notice=notice,
        customer=customer,
        escalation=start_escalation(notice, customer, NOW, reachable=bool(people or endpoints)),
        started_at=NOW,
        contacts=people,
        endpoints=[make_endpoint(customer) for _ in range(endpoints)],
        deliveries=[make_delivery(notice), *(make_delivery(notice, contact) for contact in first)],
    )
    return replace(made, **changes)


def with_states(made, **states):
    """Return the watch with the delivery of each contact (by number: c0, c1) as named."""
    contacts = [contact.id for contact in made.contacts]
    of = {contacts[int(name[1:])]: state for name, state in states.items()}

    def turned(delivery):
        match of.get(delivery.contact_id):
            case "sent":
                return replace(delivery, state=DeliveryState.SENT, attempts=1, next_attempt_at=None)
            case "failed":
                changes = {"state": DeliveryState.FAILED, "attempts": 1, "next_attempt_at": None}
                return replace(delivery, last_error="550 no such user", **changes)
            case "failing":
                return replace(delivery, attempts=2, last_error="451 greylisted")
        return delivery

    return replace(made, deliveries=[turned(delivery) for delivery in made.deliveries])


def carried_out(made, plan, now):
    """Return the watch after the plan was carried out, as the store would keep it."""
    queued = [
        Delivery(
            id=delivery_id(made.notice.id, step.channel, step.contact_id, step.endpoint_id),
            notice_id=made.notice.id, customer_id=made.customer.id, channel=step.channel, contact_id=step.contact_id,
            message_id="<m@x>", state=DeliveryState.QUEUED, attempts=0, next_attempt_at=now, last_error=None,
            created_at=now, endpoint_id=step.endpoint_id, cause=step.cause,
        )
        for step in plan.queue
    ]  # fmt: skip
    cancelled = {task.id for task in plan.cancel}
    tasks = [
        replace(task, state=CallTaskState.CANCELLED, closed_at=now) if task.id in cancelled else task
        for task in made.call_tasks
    ]
    if plan.open_task is not None:
        task = plan.open_task
        tasks.append(CallTask(task.id, made.notice.id, made.customer.id, task.reason, now, task.due_at))
    return replace(made, deliveries=[*made.deliveries, *queued], call_tasks=tasks)


def contacts_of(plan):
    return [step.contact_id for step in plan.queue]


def acknowledged(made, **changes):
    given_ = Acknowledgement(uuid4(), made.notice.id, made.customer.id, None, "account:a", AcknowledgedVia.API, NOW)
    return replace(made, acknowledgements=[replace(given_, **changes)])


# -- (a) told


def test_what_the_next_hop_took_is_told_and_over():
    plan = plan_escalation(with_states(watch(2), c0="failed", c1="sent"), after(days=1))
    assert (plan.status, plan.queue, plan.open_task, plan.next_look_at) == (EscalationStatus.SETTLED, (), None, None)


def test_the_console_alone_stops_nothing():
    made = watch(0)
    made = replace(made, deliveries=[replace(made.deliveries[0], state=DeliveryState.SENT)])
    plan = plan_escalation(made, NOW)
    assert plan.status is EscalationStatus.OPEN
    assert plan.open_task.reason is CallReason.NOBODY_REACHABLE


@pytest.mark.parametrize("state", ["failing", "failed"])
def test_what_was_taken_once_is_told_though_a_replay_of_it_fails(state):
    made = with_states(watch(1, fallback=1), c0=state)
    console, mail = made.deliveries
    made = replace(made, deliveries=[console, replace(mail, sent_at=NOW)])
    assert plan_escalation(made, after(days=1)).status is EscalationStatus.SETTLED


def test_what_came_back_is_not_told():
    made = with_states(watch(1, fallback=1), c0="sent")
    assert plan_escalation(made, after(hours=1)).next_look_at is None
    plan = plan_escalation(with_states(made, c0="failed"), after(hours=1))
    assert contacts_of(plan) == [made.contacts[1].id]


# -- (b) failed for good


def test_the_next_contact_is_written_to_at_once_fallbacks_last():
    made = watch(1, fallback=2)
    late = make_contact(made.customer, order=9)
    made = with_states(replace(made, contacts=[*made.contacts, late]), c0="failed")
    plan = plan_escalation(made, after(seconds=1))
    (step,) = plan.queue
    assert (step.contact_id, step.cause, step.reason) == (late.id, DeliveryCause.FALLBACK, StepReason.FAILED)
    assert plan.open_task is None
    following = plan_escalation(with_states(carried_out(made, plan, after(seconds=1)), c3="failed"), after(seconds=2))
    assert contacts_of(following) == [made.contacts[1].id]


def test_whoever_was_written_to_instead_is_looked_after():
    plan = plan_escalation(with_states(watch(1, fallback=1), c0="failed"), after(hours=1))
    assert plan.next_look_at == after(hours=1, seconds=POLICY.grace_seconds)


def test_what_nobody_ends_is_looked_at_less_and_less():
    made = watch(0)
    made = carried_out(made, plan_escalation(made, NOW), NOW)
    assert plan_escalation(made, after(hours=9)).next_look_at == after(hours=9, minutes=67, seconds=30)
    assert plan_escalation(made, after(days=80)).next_look_at == after(days=90)


def test_of_contacts_of_one_order_security_is_asked_first():
    made = watch(1)
    roles = (ContactRole.DPO, ContactRole.OPERATIONS, ContactRole.MANAGEMENT, ContactRole.SECURITY)
    others = [make_contact(made.customer, order=5, role=role) for role in roles]
    made = with_states(replace(made, contacts=[*made.contacts, *others]), c0="failed")
    assert contacts_of(plan_escalation(made, NOW)) == [others[3].id]


def test_another_that_is_under_way_is_awaited_but_not_for_long():
    made = with_states(watch(2, fallback=1), c0="failed")
    plan = plan_escalation(made, after(seconds=1))
    assert (plan.queue, plan.next_look_at) == ((), after(seconds=POLICY.grace_seconds))
    assert contacts_of(plan_escalation(made, plan.next_look_at)) == [made.contacts[2].id]
    failing = with_states(made, c1="failing")
    assert contacts_of(plan_escalation(failing, after(seconds=1))) == [made.contacts[2].id]


def test_after_the_people_their_systems_are_tried():
    made = with_states(watch(1, endpoints=2), c0="failed")
    gone = replace(made.endpoints[0], state=EndpointState.GONE)
    made = replace(made, endpoints=[gone, made.endpoints[1]])
    (step,) = plan_escalation(made, NOW).queue
    assert (step.channel, step.contact_id, step.endpoint_id) == (ChannelKind.WEBHOOK, None, made.endpoints[1].id)


def test_nobody_is_written_to_who_was_inactive_or_has_the_same_address():
    made = watch(1)
    same = make_contact(made.customer, email=made.contacts[0].email.upper(), order=2)
    idle = make_contact(made.customer, active=False, order=3)
    made = with_states(replace(made, contacts=[*made.contacts, same, idle]), c0="failed")
    plan = plan_escalation(made, NOW)
    assert (plan.queue, plan.open_task.reason) == ((), CallReason.ALL_FAILED)


# -- (c) and (d) the deadline


def test_fallbacks_are_written_to_before_the_deadline_is_missed():
    made = with_states(watch(1, fallback=2), c0="failing")
    early = plan_escalation(made, after(hours=4, seconds=-1))
    assert (early.queue, early.open_task) == ((), None)
    assert early.next_look_at == after(hours=4)
    plan = plan_escalation(made, after(hours=4))
    assert contacts_of(plan) == [contact.id for contact in made.contacts[1:]]
    assert {step.reason for step in plan.queue} == {StepReason.DEADLINE_NEAR}


@pytest.mark.parametrize(
    ("due", "at"),
    [
        (timedelta(hours=48), timedelta(hours=24)),
        (timedelta(minutes=50), timedelta(minutes=20)),
        (timedelta(minutes=10), timedelta(minutes=5)),
        (timedelta(), timedelta(minutes=5)),
        (timedelta(hours=-5), timedelta(minutes=5)),
    ],
)
def test_half_of_the_time_or_the_lead_whichever_is_first_but_never_before_the_grace(due, at):
    made = with_states(watch(1, fallback=1, due=due), c0="failing")
    assert plan_escalation(made, NOW + at - timedelta(seconds=1)).queue == ()
    assert len(plan_escalation(made, NOW + at).queue) == 1


def test_somebody_calls_before_the_deadline_when_nothing_was_taken():
    made = with_states(watch(1), c0="failing")
    call_at = NOW + DUE - timedelta(seconds=POLICY.call_lead_seconds)
    assert plan_escalation(made, call_at - timedelta(seconds=1)).open_task is None
    task = plan_escalation(made, call_at).open_task
    assert (task.reason, task.due_at) == (CallReason.DEADLINE_NEAR, made.notice.due_at)


def test_when_all_failed_somebody_calls_at_once():
    made = with_states(watch(2, fallback=1), c0="failed", c1="failed")
    made = carried_out(made, plan_escalation(made, NOW), NOW)
    assert plan_escalation(made, NOW).open_task is None
    made = with_states(made, c2="failed")
    plan = plan_escalation(made, after(seconds=3))
    assert (plan.open_task.reason, plan.open_task.due_at) == (CallReason.ALL_FAILED, made.notice.due_at)


def test_a_call_for_a_deadline_that_is_past_is_given_its_time():
    plan = plan_escalation(watch(0, due=timedelta(hours=-1)), NOW)
    assert plan.open_task.due_at == after(seconds=POLICY.call_within_seconds)


def test_there_are_never_two_open_calls():
    made = watch(0)
    made = carried_out(made, plan_escalation(made, NOW), NOW)
    for moment in (NOW, after(hours=-3), NOW + DUE, after(days=9)):
        assert plan_escalation(made, moment).open_task is None


def test_a_call_is_off_once_the_customer_is_told_and_on_again_when_that_comes_back():
    made = with_states(watch(1), c0="failed")
    made = carried_out(made, plan_escalation(made, NOW), NOW)
    told = with_states(made, c0="sent")
    plan = plan_escalation(told, after(minutes=1))
    assert [task.reason for task in plan.cancel] == [CallReason.ALL_FAILED]
    bounced = with_states(carried_out(told, plan, after(minutes=1)), c0="failed")
    again = plan_escalation(bounced, after(minutes=2)).open_task
    assert again.id not in {task.id for task in bounced.call_tasks}


@pytest.mark.parametrize("outcome", list(CallOutcome))
def test_a_call_that_reached_somebody_ends_it_and_no_other_does(outcome):
    made = watch(0)
    made = carried_out(made, plan_escalation(made, NOW), NOW)
    call = CallRecord(uuid4(), made.call_tasks[0].id, None, "+33 1", NOW, "account:a", outcome)
    plan = plan_escalation(replace(made, calls=[call]), NOW)
    reached = outcome is CallOutcome.REACHED
    assert (plan.status is EscalationStatus.SETTLED, len(plan.cancel)) == (reached, int(reached))


def test_what_a_person_ended_is_not_opened_again_for_the_same_want():
    made = watch(0, within=3600)
    made = carried_out(made, plan_escalation(made, NOW), NOW)
    done = replace(made, call_tasks=[replace(made.call_tasks[0], state=CallTaskState.DONE, closed_at=NOW)])
    assert plan_escalation(done, after(minutes=2)).open_task is None
    assert plan_escalation(done, after(hours=3)).open_task.reason is CallReason.NOT_ACKNOWLEDGED


# -- (e) and (f) acknowledgement


def test_without_acknowledgement_the_next_contact_is_asked_then_somebody_calls():
    made = with_states(watch(1, fallback=2, within=3600), c0="sent")
    early = plan_escalation(made, after(seconds=3599))
    assert (early.status, early.queue, early.next_look_at <= after(hours=1)) == (EscalationStatus.NOTIFIED, (), True)
    plan = plan_escalation(made, after(hours=1))
    (step,) = plan.queue
    assert (step.contact_id, step.cause) == (made.contacts[1].id, DeliveryCause.ESCALATION)
    made = with_states(carried_out(made, plan, after(hours=1)), c1="sent")
    between = plan_escalation(made, after(hours=1, minutes=59))
    assert (between.queue, between.open_task) == ((), None)
    last = plan_escalation(made, after(hours=2))
    assert (last.queue, last.open_task.reason) == ((), CallReason.NOT_ACKNOWLEDGED)


def test_whoever_was_asked_and_cannot_be_reached_is_followed_by_the_next():
    made = with_states(watch(1, fallback=2, within=3600), c0="sent")
    made = carried_out(made, plan_escalation(made, after(hours=1)), after(hours=1))
    assert contacts_of(plan_escalation(made, after(hours=1, seconds=5))) == []
    failed = with_states(made, c1="failed")
    assert contacts_of(plan_escalation(failed, after(hours=1, seconds=5))) == [made.contacts[2].id]


def test_where_nobody_is_left_to_be_asked_somebody_calls_at_the_first_time():
    made = with_states(watch(2, within=3600), c0="sent", c1="sent")
    assert plan_escalation(made, after(hours=1)).open_task.reason is CallReason.NOT_ACKNOWLEDGED


def test_an_acknowledgement_ends_it():
    made = acknowledged(with_states(watch(1, fallback=1, within=60), c0="sent"))
    plan = plan_escalation(made, after(days=1))
    assert (plan.status, plan.queue, plan.open_task, plan.next_look_at) == (EscalationStatus.SETTLED, (), None, None)


def test_a_later_notice_takes_over_what_was_open():
    made = with_states(watch(1, fallback=1), c0="failed")
    made = carried_out(made, plan_escalation(made, NOW), NOW)
    plan = plan_escalation(replace(made, superseded=True), after(days=1))
    assert (plan.status, plan.queue, plan.open_task, plan.next_look_at) == (
        EscalationStatus.SUPERSEDED,
        (),
        None,
        None,
    )
    customer = replace(made.customer, acknowledge_within_seconds=7200)
    clock = start_escalation(
        made.notice, customer, NOW, reachable=True, deadlines=[after(hours=1)], acknowledgements=[after(minutes=-9)]
    )
    assert (clock.due_at, clock.acknowledge_by) == (after(hours=1), after(seconds=POLICY.grace_seconds))
    inherited = replace(with_states(watch(1, fallback=1), c0="failing"), customer=customer)
    inherited = replace(inherited, escalation=replace(clock, notice_id=inherited.notice.id))
    assert len(plan_escalation(inherited, after(minutes=30)).queue) == 1
    # Once the earlier one arrived and was acknowledged after all, this one's own times hold.
    freed = replace(inherited, earlier_notified=True, earlier_acknowledged=True)
    assert plan_escalation(freed, after(hours=1, minutes=59)).queue == ()


# -- (g) any clock, any fate


def test_a_look_that_is_hours_late_loses_nothing_and_a_second_one_doubles_nothing():
    made = with_states(watch(1, fallback=1, within=3600), c0="failing")
    late = after(hours=11, minutes=17, seconds=3)
    plan = plan_escalation(made, late)
    assert contacts_of(plan) == [made.contacts[1].id]
    assert plan.open_task.reason is CallReason.DEADLINE_NEAR
    made = carried_out(made, plan, late)
    for moment in (late, late + timedelta(hours=5), NOW, after(hours=-2)):
        again = plan_escalation(made, moment)
        assert (again.queue, again.open_task, again.cancel) == ((), None, ())


def reached(made):
    """Return the watch after somebody was reached by the call that was open, if one was."""
    calls = [
        CallRecord(uuid4(), task.id, None, "+33 1", NOW, "account:a", CallOutcome.REACHED)
        for task in made.call_tasks
        if task.state is CallTaskState.OPEN
    ]
    return replace(given_up(made), calls=[*made.calls, *calls])


def given_up(made):
    """Return the watch after a person ended the call that was open, if one was."""
    ended = [
        replace(task, state=CallTaskState.DONE, closed_at=NOW) if task.state is CallTaskState.OPEN else task
        for task in made.call_tasks
    ]
    return replace(made, call_tasks=ended)


FATES = st.sampled_from(["sent", "failed", "failing", "queued"])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_in_every_world_the_customer_is_told_or_somebody_is_to_call(data):
    """Looks at any moments, clocks that step back, deliveries of any fate: never lost, never doubled."""
    first, fallback = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
    within = data.draw(st.sampled_from([None, 60, 3600, 7200]))
    due = timedelta(minutes=data.draw(st.integers(-60, 600)))
    made = watch(first, fallback, due=due, within=within, endpoints=data.draw(st.integers(0, 2)))
    now = NOW
    for _ in range(data.draw(st.integers(1, 12))):
        now += timedelta(seconds=data.draw(st.integers(-3600, 4 * 3600)))
        fates = {}
        for number, contact in enumerate(made.contacts):
            fates[f"c{number}"] = data.draw(FATES, label=contact.email)
        made = with_states(made, **fates)
        plan = plan_escalation(made, now)
        assert plan.next_look_at is None or plan.next_look_at > now
        made = carried_out(made, plan, now)
        again = plan_escalation(made, now)
        assert len(again.queue) == 0 or not plan.queue
        assert again.open_task is None
        calls = [task for task in made.call_tasks if task.state is CallTaskState.OPEN]
        assert len(calls) <= 1
        made = data.draw(st.sampled_from([lambda made: made, acknowledged, reached, given_up]))(made)
    # However it went: when all times have passed and one last look was taken, it stands one of these ways.
    end = max(now, made.escalation.due_at, NOW) + timedelta(days=2)
    made = carried_out(made, plan_escalation(made, end), end)
    calls = [task for task in made.call_tasks if task.state is CallTaskState.OPEN]
    outward = [delivery for delivery in made.deliveries if delivery.channel is not ChannelKind.CONSOLE]
    told = any(delivery.state is DeliveryState.SENT for delivery in outward)
    over = made.acknowledgements or made.calls or any(task.state is CallTaskState.DONE for task in made.call_tasks)
    assert over or (told and within is None) or len(calls) == 1
    assert not ((made.acknowledgements or made.calls) and calls)
    targets = [(delivery.contact_id, delivery.endpoint_id) for delivery in outward]
    assert len(targets) == len(set(targets))
    ids = [delivery.id for delivery in made.deliveries]
    assert len(ids) == len(set(ids))
