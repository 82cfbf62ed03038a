"""The contract of drafts on both engines; on SQLite the bytes of an erased draft are overwritten."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from notifications.errors import NotFoundError, StateConflictError, VersionMismatchError
from service.crypto.secret_box import SecretBox
from service.key_rotation.master_rotation import RESEALINGS, reseal_drafts
from service.ports.drafts import SEALED_FOR, Draft, DraftKind
from service.store import open_store
from support.opened_store import opened_store
from support.records import NOW, after
from support.sqlite_file import new_database

MARK = b"a-mark-that-is-in-no-other-row-" * 40


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request, tmp_path):
    async with opened_store(request.param, tmp_path) as opened:
        yield opened


def make_draft(**changes):
    draft = Draft(
        id=uuid4(),
        owner_id=uuid4(),
        alert_key=None,
        sealed=b"\x00sealed\xff",
        created_at=NOW,
        changed_at=after(microseconds=1),
        changed_by="account:a",
        is_touched=True,
        resolved_at=after(microseconds=2),
        fired_at=after(microseconds=3),
    )
    return replace(draft, **changes)


async def added(store, *drafts):
    await store.write(lambda tx: [tx.drafts.add(draft) for draft in drafts])


async def test_a_draft_is_read_as_it_was_written(store):
    draft = make_draft()
    bare = make_draft(owner_id=None, alert_key="k", resolved_at=None, is_touched=False)
    announced = make_draft(kind=DraftKind.ANNOUNCEMENT)
    await added(store, draft, bare, announced)
    assert await store.read(lambda tx: tx.drafts.get(draft.id)) == draft
    assert await store.read(lambda tx: tx.drafts.by_alert("k")) == bare
    assert await store.read(lambda tx: tx.drafts.get(announced.id)) == announced
    assert await store.read(lambda tx: tx.drafts.get(uuid4())) is None
    assert await store.read(lambda tx: tx.drafts.by_alert("other")) is None
    assert await store.read(lambda tx: tx.drafts.all()) == [draft, bare, announced]


@pytest.mark.parametrize("changes", [{"id": "same"}, {"alert_key": "k"}])
async def test_no_draft_and_no_alert_is_there_twice(store, changes):
    first = make_draft(alert_key="k")
    await added(store, first)
    second = make_draft(id=first.id) if "id" in changes else make_draft(alert_key="k")
    with pytest.raises(StateConflictError):
        await added(store, second)


async def test_a_change_names_the_version_that_it_replaces(store):
    draft = make_draft()
    await added(store, draft)
    changed = replace(draft, sealed=b"other", changed_by="account:b", resolved_at=None, closed_at=NOW, version=2)
    await store.write(lambda tx: tx.drafts.save(changed, 1))
    assert await store.read(lambda tx: tx.drafts.get(draft.id)) == changed
    with pytest.raises(VersionMismatchError) as raised:
        await store.write(lambda tx: tx.drafts.save(changed, 1))
    assert raised.value.current == 2
    with pytest.raises(ValueError, match="follow"):
        await store.write(lambda tx: tx.drafts.save(changed, 2))
    with pytest.raises(NotFoundError):
        await store.write(lambda tx: tx.drafts.save(replace(make_draft(), version=2), 1))


async def test_each_account_has_its_own_and_the_last_change_comes_first(store):
    owner = uuid4()
    old, new = make_draft(owner_id=owner), make_draft(owner_id=owner, changed_at=after(hours=1))
    alerts = [make_draft(owner_id=None, alert_key=str(number), changed_at=after(hours=number)) for number in range(3)]
    closed = make_draft(owner_id=None, alert_key="closed", closed_at=after(hours=9), changed_at=after(hours=9))
    await added(store, new, old, make_draft(), closed, *alerts)
    assert await store.read(lambda tx: tx.drafts.of_owner(owner)) == [new, old]
    assert await store.read(lambda tx: tx.drafts.of_owner(uuid4())) == []
    assert await store.read(lambda tx: tx.drafts.of_alerts(2)) == [alerts[2], alerts[1]]
    assert await store.read(lambda tx: tx.drafts.alerts_count()) == 3


async def test_what_nobody_changed_for_long_is_found(store):
    old, young = make_draft(), make_draft(changed_at=after(days=1))
    await added(store, young, old)
    limit = NOW + timedelta(hours=1)
    assert await store.read(lambda tx: tx.drafts.changed_before(limit, 9)) == [old.id]
    assert await store.read(lambda tx: tx.drafts.changed_before(after(days=2), 1)) == [old.id]


async def test_resealing_changes_nothing_but_the_encryption(store):
    draft = make_draft()
    await added(store, draft)
    await store.write(lambda tx: tx.drafts.reseal(replace(draft, sealed=b"new", changed_by="x", version=9)))
    assert await store.read(lambda tx: tx.drafts.get(draft.id)) == replace(draft, sealed=b"new")
    with pytest.raises(NotFoundError):
        await store.write(lambda tx: tx.drafts.reseal(make_draft()))


async def test_a_new_master_key_encrypts_every_draft_again(store):
    draft = make_draft()
    old, new = SecretBox([b"o" * 32]), SecretBox([b"n" * 32, b"o" * 32])
    await added(store, replace(draft, sealed=old.seal(b"facts", purpose=SEALED_FOR, owner=str(draft.id))))
    assert reseal_drafts in RESEALINGS
    assert [await store.write(lambda tx: reseal_drafts(tx, new)) for _ in range(2)] == [1, 0]
    resealed = await store.read(lambda tx: tx.drafts.get(draft.id))
    assert resealed.version == 1
    assert SecretBox([b"n" * 32]).open(resealed.sealed, purpose=SEALED_FOR, owner=str(draft.id)) == b"facts"


async def test_a_removed_draft_is_gone_and_says_so_once(store):
    draft = make_draft()
    await added(store, draft)
    changed = []
    store.on_commit.append(changed.append)
    assert await store.write(lambda tx: tx.drafts.remove(draft.id)) is True
    assert await store.write(lambda tx: tx.drafts.remove(draft.id)) is False
    assert await store.read(lambda tx: tx.drafts.get(draft.id)) is None
    assert [kinds for kinds in changed if kinds] == [{"drafts"}]


async def test_on_sqlite_the_bytes_of_an_erased_draft_are_overwritten(tmp_path):
    path = new_database(tmp_path / "store.sqlite3")
    opened = open_store(path, migrate=False)
    draft = make_draft(sealed=MARK)
    await added(opened, draft)
    await opened.write(lambda tx: tx.drafts.remove(draft.id))
    # Closing brings the write-ahead log into the file.
    await opened.close()
    assert b"a-mark-that-is" not in path.read_bytes()
