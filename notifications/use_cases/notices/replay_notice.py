"""Post a sealed notice to a webhook endpoint again, because the customer asks for it."""

from dataclasses import replace

from notifications.delivery.delivery import ChannelKind, Delivery, DeliveryCause, DeliveryState, delivery_id
from notifications.delivery.webhook import WebhookEndpoint
from notifications.errors import StateConflictError
from notifications.notice import Notice, NoticeState
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.apply_facts import notice_subjects
from notifications.use_cases.notices.queue_deliveries import Target, delivery_to, queued_entry


def replay_notice(
    tx: Transaction, act: AuditContext, notice: Notice, endpoint: WebhookEndpoint, mail_domain: str
) -> Delivery:
    """Queue a notice to an endpoint of its customer. The ``webhook-id`` is the same as for every delivery of the two.

    Raises StateConflictError for a notice that is not sealed, and for a delivery that is queued already.

    1. If the delivery was sent or has failed, queue it again. Its number of attempts continues.
    2. If the endpoint did not exist when the notice was sealed, queue a new delivery.
    """
    if notice.state is not NoticeState.SEALED:
        raise StateConflictError("the notice is not sealed yet")
    if notice.exercise and not endpoint.takes_exercises:
        raise StateConflictError("the notice is of an exercise, and the endpoint takes none")
    known = tx.deliveries.get(delivery_id(notice.id, ChannelKind.WEBHOOK, None, endpoint.id))
    pseudonym = tx.customers.pseudonym(notice.customer_id)
    if known is None:
        # 2.
        target = Target(ChannelKind.WEBHOOK, endpoint=endpoint)
        made = delivery_to(notice, target, act, mail_domain, DeliveryCause.REPLAY)
        tx.deliveries.add([made])
        tx.audit.append([queued_entry(act, notice, pseudonym, made)])
        return made
    if known.state is DeliveryState.QUEUED:
        raise StateConflictError("the notice is already queued for this endpoint")
    # 1.
    again = replace(known, state=DeliveryState.QUEUED, next_attempt_at=act.now, last_error=None)
    tx.deliveries.save(again, known.attempts)
    subjects = notice_subjects(notice, pseudonym) | {"delivery": str(known.id), "endpoint": str(endpoint.id)}
    detail = {"channel": known.channel.value, "cause": DeliveryCause.REPLAY.value, "attempts": known.attempts}
    tx.audit.append([act.entry("delivery.requeued", subjects=subjects, detail=detail, exercise=notice.exercise)])
    return again
