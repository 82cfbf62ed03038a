"""Returned mails of many mail systems, each with what must follow (``returned_mails/what_must_follow.toml``)."""

import tomllib
from pathlib import Path

import pytest

from notifications.delivery.delivery import DeliveryState
from service.channels.smtp_reply import Stage, enhanced_status, failure_kind, sending_limit
from support.sent_notice import SentNotice

FOLDER = Path(__file__).parent / "returned_mails"
TABLE = tomllib.loads((FOLDER / "what_must_follow.toml").read_text(encoding="utf-8"))
MAILS = {row["file"]: row for row in TABLE["mail"]}
#: Mail systems that the table is to hold at the least.
_SYSTEMS = 25


def content_of(name):
    """Return a mail as it comes over the wire."""
    return (FOLDER / name).read_bytes().replace(b"\n", b"\r\n")


@pytest.mark.parametrize("line_ends", ["CRLF", "LF"])
@pytest.mark.parametrize("name", MAILS)
async def test_what_must_follow_follows(name, line_ends):
    row = MAILS[name]
    house = SentNotice(address=row.get("recipient", TABLE["recipient"]), subject=TABLE["subject"])
    for earlier in row.get("after", ()):
        await house.back(content_of(earlier))
    content = content_of(name) if line_ends == "CRLF" else (FOLDER / name).read_bytes()
    taken = await house.back(content)
    now = await house.now()
    assert (taken.message.kind.value, taken.message.status) == (row["kind"], row.get("status"))
    assert now.state.value == row["state"]
    assert (taken.message.kind.value == "unknown" or now.last_error is not None) is row["attention"]
    assert (now.too_large_at is not None) is row.get("too_large", False)
    if now.state is DeliveryState.QUEUED and row.get("too_large"):
        assert now.next_attempt_at == taken.message.received_at
    # Whatever came back, nothing of it says that somebody has the notice.
    assert not await house.store.read(lambda tx: list(tx.notices.acknowledgements(house.notice.id)))


@pytest.mark.parametrize("row", TABLE["reply"], ids=lambda row: f"{row['system']}: {row['case']}")
def test_what_a_server_answers_at_once_is_read(row):
    code, text = int(row["reply"][:3]), row["reply"][4:]
    stage = Stage(row["step"].lower())
    assert failure_kind(stage, code, enhanced_status(text)).value == row["outcome"]
    limit = sending_limit(stage, code, enhanced_status(text))
    assert (None if limit is None else limit.value) == row.get("limit")


def test_the_table_is_whole():
    assert MAILS.keys() == {path.name for path in FOLDER.glob("*.eml")}
    assert len(MAILS) == len(TABLE["mail"])
    assert len({row["system"] for row in TABLE["mail"] + TABLE["reply"]}) >= _SYSTEMS
    assert all(row["source"].strip() and row["case"].strip() for row in TABLE["mail"] + TABLE["reply"])


@pytest.mark.parametrize("name", MAILS)
async def test_a_mail_that_answers_another_notice_is_never_an_absence(name):
    house = SentNotice(address="other@customer.example", subject="INC-2026-0043: another one")
    taken = await house.back(content_of(name))
    assert taken.message.kind.value != "auto_reply"
