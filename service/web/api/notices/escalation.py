"""Escalation: how far the customer is notified, and the time of the next check."""

from uuid import UUID

from pydantic import Field
from starlette.responses import Response

from notifications.delivery.call_task import CallTaskState
from notifications.delivery.escalation_plan import EscalationStatus, escalation_status
from notifications.errors import NotFoundError
from notifications.use_cases.notices.escalate import notice_clock
from service.ports.store import AccessTransaction
from service.web.api.fields import Moment, Out
from service.web.api.requests import MayReadCalls, json_response
from service.web.api.schemas import api_router

router = api_router("/api/v1", tags=["notices"])


class EscalationOut(Out):
    """The escalation of one sealed notice."""

    notice_id: UUID
    standing: EscalationStatus = Field(
        description=(
            "`open`: nothing but the console has it. `told`: sent, and not acknowledged yet. `settled`: nothing more is"
            " owed by it. `superseded`: what was owed passed to a later notice."
        )
    )
    due_at: Moment = Field(
        description="Its deadline, or the deadline of an earlier notice of which nobody was notified."
    )
    acknowledge_by: Moment | None = Field(description="By when it is wanted to be acknowledged; null: it need not be.")
    next_look_at: Moment | None = Field(description="When it is looked at next; null when nothing more is to come.")
    open_call_task_id: UUID | None


@router.get("/notices/{notice_id}/escalation", response_model=EscalationOut, summary="How far a customer is notified")
async def show(access: MayReadCalls, notice_id: UUID) -> Response:
    """Return how far the customer is notified; 404 if the notice is not sealed, or is older than escalation."""

    def work(tx: AccessTransaction) -> EscalationOut:
        notice = tx.notices.get(notice_id)
        watch = None if notice is None else notice_clock(tx, notice)
        if watch is None:
            raise NotFoundError("escalation", notice_id)
        open_tasks = [task.id for task in watch.call_tasks if task.state is CallTaskState.OPEN]
        return EscalationOut.model_construct(
            notice_id=notice_id,
            standing=escalation_status(watch),
            due_at=watch.escalation.due_at,
            acknowledge_by=watch.escalation.acknowledge_by,
            next_look_at=watch.escalation.next_look_at,
            open_call_task_id=next(iter(open_tasks), None),
        )

    return json_response(await access.read(work))
