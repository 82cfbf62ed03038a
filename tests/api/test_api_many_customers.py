"""Answers about every customer: what they come to, then pages. Neither bytes nor statements grow with the customers."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from notifications.notice import NoticeState
from service.ports.accounts import Role
from support.many_customers import GRAVE, registered
from support.people import browser, person
from support.scenario import affected, ago, customer, declare, facts, harm, ok
from support.store_work import watch_requests

PAGE = 200


async def walked(ask, name, between=None):
    """Return every page that ``ask(cursor)`` gives, and the items in ``name`` of all of them."""
    pages, cursor = [], None
    while True:
        page = await ok(ask(cursor))
        pages.append(page)
        cursor = page["next_cursor"]
        if cursor is None:
            return pages, [item for each in pages for item in each[name]]
        assert len(page[name]) == PAGE
        if between is not None:
            await between()


def at(cursor, **params):
    return params if cursor is None else params | {"cursor": cursor}


async def test_neither_bytes_nor_statements_grow_with_the_customers(running, api):
    watched = watch_requests(running, reads_only=True)
    body = facts(**GRAVE)

    async def measured():
        """Return (bytes, statements) of each answer, and of the page that follows it."""
        incident, found = await declare(api, **GRAVE), {}
        path = f"/incidents/{incident['id']}"

        async def took(name, send):
            watched.taken()
            answer = await send()
            found[name] = len(answer.content), len(watched.taken())
            assert answer.is_success, answer.text
            return answer.json()

        for name, way, stated in (
            ("dry run", "/incidents/dry-run", body),
            ("change", f"{path}/dry-run", {"impact": "I2"}),
        ):
            # The first look after a registration reads the directory of customers, which is kept.
            await ok(api.post(way, json=stated))
            first = await took(name, lambda way=way, stated=stated: api.post(way, json=stated))
            params = {"cursor": first["next_cursor"]}
            await took(f"{name}, next", lambda way=way, s=stated, p=params: api.post(way, json=s, params=p))
        first = await took("notices", lambda: api.get(f"{path}/notices"))
        params = {"cursor": first["next_cursor"]}
        await took("notices, next", lambda: api.get(f"{path}/notices", params=params))
        released = await took("release", lambda: api.post(f"{path}/release", headers={"If-Match": "*"}))
        params = {"cursor": released["next_cursor"], "released_at": released["released_at"]}
        await took("release, next", lambda: api.get(f"{path}/notices", params=params))
        return found

    await registered(running, 2 * PAGE + 1)
    few = await measured()
    await registered(running, 1000)
    many = await measured()
    for name, (size, statements) in few.items():
        # Counts have more digits, the incident before is a possible duplicate, and a notice sealed meanwhile has
        # a moment more; a thousand customers would be megabytes more.
        assert many[name][0] < 1.2 * size + 1000, name
        # A release writes each notice. What its answer reads is what the page after it reads.
        assert many[name][1] == statements, name
    assert many["dry run"][1] < 25
    assert many["notices"][1] < 8


async def test_a_dry_run_counts_everybody_and_pages_hold_each_once_while_customers_come(running, api):
    people = await registered(running, 2 * PAGE + 50)
    body = facts(**GRAVE)

    async def comes():
        await customer(api, "Newcomer")

    pages, decided = await walked(
        lambda cursor: api.post("/incidents/dry-run", json=body, params=at(cursor)), "assessments", comes
    )
    assert [each["customer_id"] for each in decided][: len(people)] == [str(each.id) for each in people]
    assert len({each["customer_id"] for each in decided}) == len(decided) == len(people) + 2
    assert [page["total"] for page in pages] == [len(people) + n for n in range(3)]
    for page in pages:
        assert sum(page["tally"].values()) == page["total"]
        assert max(page["reasons"]["notify"].values()) == page["tally"]["notify"] == page["total"]
    assert pages[0]["due_at"] == min(each["due_at"] for each in decided)
    # What an author looks at before declaring is on the first page.
    assert (pages[0]["possible_duplicates"], pages[1]["possible_duplicates"]) == ([], None)


async def test_up_to_200_customers_come_in_one_answer(running, api):
    people = await registered(running, PAGE)
    one = await ok(api.post("/incidents/dry-run", json=facts(**GRAVE)))
    assert (len(one["assessments"]), one["total"], one["next_cursor"]) == (PAGE, PAGE, None)
    incident = await declare(api, **GRAVE)
    released = await ok(api.post(f"/incidents/{incident['id']}/release", headers={"If-Match": "*"}))
    assert (len(released["items"]), released["total"], released["next_cursor"]) == (PAGE, PAGE, None)
    listed = await ok(api.get(f"/incidents/{incident['id']}/notices"))
    assert [each["customer_id"] for each in listed["items"]] == [str(each.id) for each in people]
    assert listed["next_cursor"] is None


async def test_a_release_answers_with_its_own_notices_and_the_following_pages_hold_the_others(running, api):
    await registered(running, 2 * PAGE + 1)
    incident = await declare(api, **GRAVE)
    path = f"/incidents/{incident['id']}"
    drafts = (await ok(api.get(f"{path}/notices", params={"limit": 1})))["items"]
    # Released before: it belongs to another release.
    await ok(api.post(f"/notices/{drafts[0]['id']}/release", headers={"If-Match": "*"}))
    headers = {"If-Match": "*", "Idempotency-Key": "one"}
    first = await ok(api.post(f"{path}/release", headers=headers))
    assert await ok(api.post(f"{path}/release", headers=headers)) == first
    assert first["total"] == 2 * PAGE
    assert (first["summary"]["by_state"], first["summary"]["failing"]) == ({"released": 2 * PAGE}, 0)
    assert {each["released_at"] for each in first["items"]} == {first["released_at"]}
    # As a client states the moment that knows times, and no texts.
    moment = first["released_at"].replace("Z", "+00:00")
    params = {"released_at": moment, "cursor": first["next_cursor"]}
    second = await ok(api.get(f"{path}/notices", params=params))
    seen = [each["id"] for each in first["items"] + second["items"]]
    assert len(seen) == len(set(seen)) == 2 * PAGE
    assert second["next_cursor"] is None
    assert drafts[0]["id"] not in seen


async def test_what_failed_is_counted_first_and_listed_alone(running, api):
    await registered(running, PAGE + 5)
    incident = await declare(api, **GRAVE)
    path = f"/incidents/{incident['id']}/notices"

    def hold(tx):
        # The last ones of the list, as a worker leaves them that has no key; leased, so that this one takes none.
        held = tx.notices.of_incident(UUID(incident["id"]))[-3:]
        for notice in held:
            changed = replace(
                notice,
                state=NoticeState.RELEASED,
                released_at=notice.created_at,
                hold_reason="no usable key",
                version=notice.version + 1,
            )
            tx.notices.save(changed, notice.version)
        now = datetime.now(UTC)
        tx.notices.lease_released(now, now + timedelta(hours=1), 3)
        return {str(notice.id) for notice in held}

    held = await running.parts.store.write(hold)
    whole = await ok(api.get(path))
    assert next(iter(whole)) == "summary"
    failing = await ok(api.get(path, params={"failing": True}))
    assert {each["id"] for each in failing["items"]} == held
    assert whole["summary"]["by_state"] == {"draft": PAGE + 2, "released": 3}
    assert (whole["summary"]["failing"], whole["summary"]["by_hold_reason"]) == (3, {"no usable key": 3})
    drafts = await ok(api.get(path, params={"state": "draft"}))
    assert drafts["total"] == PAGE + 2
    assert (await api.get(path, params={"state": "lost"})).status_code == 422


async def test_a_cursor_serves_one_account_and_one_question(running, api):
    await registered(running, PAGE + 5)
    body = facts(**GRAVE)
    incident, other = await declare(api, **GRAVE), await declare(api, **GRAVE)
    path = f"/incidents/{incident['id']}"
    patch = {"impact": "I2"}
    of_facts = (await ok(api.post("/incidents/dry-run", json=body)))["next_cursor"]
    of_change = (await ok(api.post(f"{path}/dry-run", json=patch)))["next_cursor"]
    of_notices = (await ok(api.get(f"{path}/notices")))["next_cursor"]
    eve = await person(running, "Eve", (Role.ANALYST, None))

    async def fields(answer):
        answer = await answer
        return answer.status_code, [each["field"] for each in answer.json()["errors"]]

    for asked in (
        api.post("/incidents/dry-run", json=body | {"impact": "I2"}, params={"cursor": of_facts}),
        api.post(f"{path}/dry-run", json={"impact": "I3"}, params={"cursor": of_change}),
        api.post(f"/incidents/{other['id']}/dry-run", json=patch, params={"cursor": of_change}),
        api.get(f"{path}/notices", params={"cursor": of_facts}),
        api.get(f"{path}/notices", params={"cursor": of_notices, "state": "draft"}),
        api.get(f"/incidents/{other['id']}/notices", params={"cursor": of_notices}),
    ):
        assert await fields(asked) == (422, ["cursor"])
    async with browser(running, eve) as pages:
        assert await fields(pages.get(f"/api/v1{path}/notices", params={"cursor": of_notices})) == (422, ["cursor"])
    await ok(api.post(f"{path}/dry-run", json=patch, params={"cursor": of_change}))
    # The same patch on other facts is another question.
    await ok(api.patch(f"{path}/facts", json={"title": {"en": "New"}}, headers={"If-Match": "*"}))
    assert await fields(api.post(f"{path}/dry-run", json=patch, params={"cursor": of_change})) == (422, ["cursor"])


async def test_the_list_of_incidents_names_the_first_customers_and_pages_have_them_all(running, api):
    people = await registered(running, 2 * PAGE + 50)
    named = [affected({"id": str(each.id)}, data_harm=harm()) for each in people]
    # The last one alone is open: the classification rests on it, and a list says so too.
    named[-1] = affected({"id": str(people[-1].id)}, data_harm={})
    stated = {"unlisted_customers": "not_affected"}
    few = await declare(api, **stated, affected_customers=named[:20])
    many = await declare(api, **stated, affected_customers=named)
    alone = await declare(api, **stated)
    listed = await ok(api.get("/incidents"))
    found = {each["id"]: each for each in listed["items"]}
    assert [each["id"] for each in listed["items"]] == [alone["id"], many["id"], few["id"]]
    whole = {each["id"]: await ok(api.get(f"/incidents/{each['id']}")) for each in (few, many, alone)}
    totals = {few["id"]: 20, many["id"]: len(people), alone["id"]: 0}
    for key, total in totals.items():
        assert found[key]["affected_customers_total"] == whole[key]["affected_customers_total"] == total
        assert len(whole[key]["facts"]["affected_customers"]) == total
        assert found[key]["classification"] == whole[key]["classification"]
        assert found[key]["facts"] | {"affected_customers": None} == whole[key]["facts"] | {"affected_customers": None}
    assert f"affected_customers.{people[-1].id}.data_harm.availability" in str(found[many["id"]]["classification"])
    customers = {key: each["facts"]["affected_customers"] for key, each in found.items()}
    assert customers[many["id"]] == whole[many["id"]]["facts"]["affected_customers"][:PAGE]
    # An incident that names no more than a page has items is listed whole, as ever.
    assert found[few["id"]] == whole[few["id"]]

    async def another_version():
        headers, body = {"If-Match": "*"}, {"unlisted": [str(people[0].id), str(people[-1].id)]}
        answer = await api.patch(f"/incidents/{many['id']}/affected-customers", json=body, headers=headers)
        assert answer.is_success, answer.text

    path = f"/incidents/{many['id']}/affected-customers"
    pages, items = await walked(lambda cursor: api.get(path, params=at(cursor, limit=PAGE)), "items", another_version)
    assert {(page["total"], page["version"]) for page in pages} == {(len(people), 1)}
    assert items == whole[many["id"]]["facts"]["affected_customers"]
    first = await ok(api.get(path))
    assert (first["version"], first["total"]) == (3, len(people) - 2)
    refused = await api.get(f"/incidents/{few['id']}/affected-customers", params={"cursor": first["next_cursor"]})
    assert refused.status_code == 422
    assert (await api.get(f"/incidents/{people[0].id}/affected-customers")).status_code == 404


async def test_the_list_of_incidents_does_not_grow_with_their_customers(running, api):
    people = await registered(running, 3 * PAGE)
    named = [affected({"id": str(each.id)}, data_harm=harm(), effect="Long words. " * 20) for each in people]
    watched = watch_requests(running, reads_only=True)

    async def size(customers):
        await declare(api, unlisted_customers="not_affected", affected_customers=customers)
        watched.taken()
        answer = await api.get("/incidents", params={"limit": 1})
        return len(answer.content), len(watched.taken())

    few, many = await size(named[: PAGE + 1]), await size(named)
    assert many[0] < 1.02 * few[0]
    assert many[1] == few[1]


async def test_the_board_knows_the_terms_of_customers_whom_a_list_does_not_name(running, api):
    people = await registered(running, PAGE)
    bound = {"agreement_id": "secnumcloud_2026", "effective_at": "2026-05-01T00:00:00Z"}
    other = await customer(api, "Other", agreement=bound)
    named = [affected({"id": str(each.id)}, data_harm=harm()) for each in people]
    stated = {"impact": "I3", "criticality": "C3", "unlisted_customers": "not_affected", "aware_at": ago(minutes=5)}
    with_other = await declare(api, **stated, affected_customers=[*named, affected(other)])
    await declare(api, **stated, affected_customers=[*named, affected(other) | {"affected": "no"}])
    board = await ok(api.get("/incidents/board"))
    assert [each["id"] for each in board["items"] if each["other_priorities"]] == [with_other["id"]]
