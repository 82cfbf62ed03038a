"""Questions and feedback on pages: asked on the notice, answered at the provider, kept when refused, text as text."""

import html
import re
from uuid import UUID

import pytest
import pytest_asyncio

from service.ports.accounts import Grant, Role
from support.people import act_of, browser, person, visible_text
from support.scenario import affected, change, customer, declare, harm, ok, release

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAYLOAD = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> {{7*7}}"


class House:
    """Two customers with a notice each of one incident, and their people."""

    def __init__(self, service, api, customers, incident, notices):
        self.service, self.api = service, api
        self.customers, self.incident, self.notices = customers, incident, notices

    async def member(self, name, at=0, language="en", role=Role.CUSTOMER_MEMBER):
        return await person(self.service, name, (role, self.customers[at]["id"]), language=language)

    async def analyst(self, name, language="en"):
        return await person(self.service, name, (Role.ANALYST, None), language=language)

    def path(self, at=0):
        return f"/notices/{self.notices[at]}"

    async def questions(self, at=0):
        return (await ok(self.api.get(f"{self.path(at)}/questions")))["items"]

    async def ask(self, who, text, at=0):
        async with browser(self.service, who) as client:
            answer = await client.post(f"{self.path(at)}/questions", data=who.form(text=text))
            assert answer.status_code == 303, answer.text
        return (await self.questions(at))[-1]["id"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(shared_service, shared_api):
    customers = [
        await customer(shared_api, name, contacts=((f"soc@{name.lower()}.example", "en"),))
        for name in ("Alpha", "Beta")
    ]
    entries = [affected(each, data_harm=harm(confidentiality="yes")) for each in customers]
    incident = await declare(
        shared_api, impact="I1", service_harm=harm(confidentiality="yes"), affected_customers=entries
    )
    released = {item["customer_id"]: item["id"] for item in await release(shared_api, incident)}
    await shared_service.sink.wait_for(2, timeout_seconds=60)
    return House(shared_service, shared_api, customers, incident, [released[each["id"]] for each in customers])


async def auditor_of_a_period(house, name, first, end):
    """Create an auditor of the time from one notice on, until before another."""
    auditor, act = await person(house.service, name), act_of(house.service)

    def work(tx):
        until = None if end is None else tx.notices.require(end).created_at
        since = tx.notices.require(first).created_at
        grant = Grant(
            act.identifiers.new_id(), auditor.account.id, Role.AUDITOR, None, since, until, act.now, act.actor
        )
        tx.accounts.add_grant(grant)

    await house.service.parts.store.write(work)
    return auditor


def form_id(page, action):
    """Return the identifier of a shown form."""
    form = re.search(rf'<form method="post" action="{re.escape(action)}.*?</form>', page, re.DOTALL)[0]
    return re.search(r'name="form_id" value="([^"]+)"', form)[1]


async def test_a_question_is_asked_once_and_answered_where_the_analyst_is(house):
    anna, ada = await house.member("Anna"), await house.analyst("Ada")
    async with browser(house.service, anna) as client:
        page = (await client.get(house.path())).text
        fields = anna.form(text=PAYLOAD, form_id=form_id(page, f"{house.path()}/questions"))
        for _ in range(2):
            answer = await client.post(f"{house.path()}/questions", data=fields)
            assert (answer.status_code, answer.headers["location"]) == (303, f"{house.path()}?done=asked#questions")
        page = (await client.get(f"{house.path()}?done=asked")).text
        assert "Your question has reached the provider" in page
        assert "<script>alert" not in page
        assert "<img" not in page
        assert html.escape(PAYLOAD, quote=False).replace('"', "&#34;").replace("'", "&#39;") in page
    (question,) = await house.questions()
    async with browser(house.service, ada) as client:
        assert "A customer&#39;s question waits" in (await client.get("/")).text
        listed = (await client.get("/questions")).text
        assert "<script>alert" not in listed
        assert f'href="/questions/{question["id"]}"' in listed
        assert "Alpha" in listed
        page = (await client.get(f"/questions/{question['id']}")).text
        reply = f"/questions/{question['id']}/reply"
        fields = ada.form(text=f"Yes. {PAYLOAD}", form_id=form_id(page, reply), return_to=f"{house.path()}#questions")
        for _ in range(2):
            answer = await client.post(reply, data=fields)
            assert (answer.status_code, answer.headers["location"]) == (303, f"{house.path()}#questions")
        assert question["id"] not in (await client.get("/questions")).text
        # Somebody else was faster: what was written is kept.
        answer = await client.post(reply, data=ada.form(text="My own words"))
        assert answer.status_code == 409
    async with browser(house.service, anna) as client:
        page = (await client.get(house.path())).text
        assert "Yes. &lt;script&gt;" in page
        assert "<script>alert" not in page
        # Who of the provider answered is not the customer's to know.
        assert "Ada" not in page


async def test_a_form_that_a_person_goes_back_to_and_changes_is_another_one(house):
    bela = await house.member("Bela")
    async with browser(house.service, bela) as client:
        for text in ("The first?", "The first?", "The second?"):
            fields = bela.form(text=text, form_id="the same page")
            assert (await client.post(f"{house.path()}/questions", data=fields)).status_code == 303
    asked = [each["text"] for each in await house.questions()]
    assert (asked.count("The first?"), asked.count("The second?")) == (1, 1)


async def test_the_incident_shows_what_customers_asked_and_is_answered_from_there(house):
    bea, ada = await house.member("Bea"), await house.analyst("Abel")
    question = await house.ask(bea, f"On the incident? {PAYLOAD}")
    at = f"/incidents/{house.incident['id']}"
    async with browser(house.service, ada) as client:
        page = (await client.get(at)).text
        assert "On the incident?" in page
        assert "<script>alert" not in page
        fields = ada.form(text="Answered there.", form_id=form_id(page, f"/questions/{question}/reply"))
        answer = await client.post(f"/questions/{question}/reply", data=fields | {"return_to": f"{at}#asked"})
        assert (answer.status_code, answer.headers["location"]) == (303, f"{at}#asked")
        assert "Answered there." in (await client.get(at)).text


async def test_a_later_notice_is_offered_as_the_answer(house):
    bert, ada = await house.member("Bert", 1), await house.analyst("Alma")
    question = await house.ask(bert, "Is more known?", 1)
    incident = await ok(house.api.get(f"/incidents/{house.incident['id']}"))
    entries = [
        affected(each, data_harm=harm(confidentiality="yes"), effect={"en": "More is known."})
        for each in house.customers
    ]
    changed = await change(house.api, incident, affected_customers=entries)
    sent = len(house.service.sink.messages)
    released = {item["customer_id"]: item["id"] for item in await release(house.api, changed)}
    await house.service.sink.wait_for(sent + 2, timeout_seconds=60)
    later = released[house.customers[1]["id"]]
    async with browser(house.service, ada) as client:
        page = (await client.get(f"/questions/{question}")).text
        assert f'<option value="{later}">' in page
        assert released[house.customers[0]["id"]] not in page
        # Of another customer, and of nobody: the form comes back with what was written.
        for wrong in (released[house.customers[0]["id"]], house.notices[1], "x"):
            fields = ada.form(text="Kept words", notice_id=wrong)
            answer = await client.post(f"/questions/{question}/reply", data=fields)
            assert answer.status_code == 422
            assert "Kept words" in answer.text
            assert "Choose a later notice" in answer.text
        # Nothing leads elsewhere.
        fields = ada.form(notice_id=later, return_to="https://evil.example/")
        answer = await client.post(f"/questions/{question}/reply", data=fields)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
    async with browser(house.service, bert) as client:
        page = (await client.get(house.path(1))).text
        assert f'<a href="/notices/{later}">Notice no. 2 answers it</a>' in page
    # To an auditor of the time before, the first notice is there, and the later one is not.
    auditor = await auditor_of_a_period(house, "Audra", UUID(house.notices[1]), UUID(later))
    async with browser(house.service, auditor) as client:
        answer = await client.get(house.path(1))
        assert (answer.status_code, "Is more known?" in answer.text, later in answer.text) == (200, True, False)
        assert (await client.get(f"/questions/{question}")).status_code == 200


async def test_an_auditor_of_a_later_time_finds_the_questions_about_notices_of_that_time(house):
    bo = await house.member("Bo", 1)
    notices = await house.service.parts.store.read(
        lambda tx: tx.notices.of_incident(UUID(house.incident["id"]), UUID(house.customers[1]["id"]))
    )
    later = notices[-1]
    house.notices[1] = str(later.id)
    question = await house.ask(bo, "About the later one?", 1)
    auditor = await auditor_of_a_period(house, "Audomar", later.id, None)
    async with browser(house.service, auditor) as client:
        for path in ("/questions", f"/questions/{question}"):
            answer = await client.get(path)
            assert (answer.status_code, "About the later one?" in answer.text) == (200, True)
            assert house.incident["ticket"] not in answer.text


async def test_a_form_that_is_refused_keeps_its_words(house):
    cara, ada = await house.member("Cara"), await house.analyst("Asta")
    async with browser(house.service, cara) as client:
        for text in ("", "  ", "a\x00b"):
            answer = await client.post(f"{house.path()}/questions", data=cara.form(text=text))
            assert answer.status_code == 422
            assert 'id="question-error"' in answer.text
            assert 'aria-invalid="true"' in answer.text
        for number in range(10):
            await house.ask(cara, f"{number}?")
        answer = await client.post(f"{house.path()}/questions", data=cara.form(text="The eleventh"))
        assert answer.status_code == 409
        assert "The eleventh</textarea>" in answer.text
        assert "Ten of your questions" in answer.text
        assert (await client.post(f"{house.path()}/questions", data={"text": "forged"})).status_code == 403
    question = (await house.questions())[-1]["id"]
    async with browser(house.service, ada) as client:
        answer = await client.post(f"/questions/{question}/reply", data=ada.form(text=" ", notice_id=""))
        assert answer.status_code == 422
        assert f'id="reply-{question}-error"' in answer.text
        assert (await client.post(f"/questions/{question}/reply", data={"text": "forged"})).status_code == 403


async def test_feedback_is_given_changed_and_shown_to_the_analyst(house):
    dora, ada = await house.member("Dora"), await house.analyst("Anke")
    async with browser(house.service, dora) as client:
        answer = await client.post(f"{house.path()}/feedback", data=dora.form(words=PAYLOAD))
        assert answer.status_code == 422
        assert "Choose one of the three." in answer.text
        assert "&lt;img" in answer.text
        answer = await client.post(f"{house.path()}/feedback", data=dora.form(helped="no", words=PAYLOAD))
        assert (answer.status_code, answer.headers["location"]) == (303, f"{house.path()}?done=feedback#feedback")
        page = (await client.get(f"{house.path()}?done=feedback")).text
        assert re.search(r'value="no" checked', page)
        assert "<script>alert" not in page
        assert (await client.post(f"{house.path()}/feedback", data=dora.form(helped="yes"))).status_code == 303
    async with browser(house.service, ada) as client:
        shown = visible_text((await client.get(house.path())).text)
        assert re.search(r"Yes · +Dora", shown)
        # An analyst gives none, and asks nothing.
        page = (await client.get(house.path())).text
        assert f'action="{house.path()}/feedback' not in page
        assert f'action="{house.path()}/questions' not in page


async def test_nobody_asks_or_answers_elsewhere(house):
    stranger, question = await house.member("Eva", 1), (await house.questions())[0]["id"]
    auditor = await house.member("Finn", role=Role.AUDITOR)
    async with browser(house.service, stranger) as client:
        for what in ("questions", "feedback"):
            answer = await client.post(f"{house.path()}/{what}", data=stranger.form(text="?", helped="yes"))
            assert answer.status_code == 404
        assert (await client.get("/questions")).status_code == 403
        assert (await client.get(f"/questions/{question}")).status_code == 403
        answer = await client.post(f"/questions/{question}/reply", data=stranger.form(text="!"))
        assert answer.status_code == 403
    async with browser(house.service, auditor) as client:
        page = (await client.get(house.path())).text
        assert "<textarea" not in page
        assert (await client.post(f"{house.path()}/questions", data=auditor.form(text="?"))).status_code == 403


@pytest.mark.parametrize(
    ("language", "asks", "waits"),
    [
        ("fr", "Poser au prestataire une question", "Questions de commanditaires en attente"),
        ("de", "Den Dienstleister zu dieser Benachrichtigung", "Offene Rückfragen von Auftraggebern"),
    ],
)
async def test_pages_speak_the_readers_language(house, language, asks, waits):
    member, analyst = await house.member(f"M{language}", 0, language), await house.analyst(f"A{language}", language)
    async with browser(house.service, member) as client:
        assert asks in (await client.get(house.path())).text
    async with browser(house.service, analyst) as client:
        assert f"<h1>{waits}</h1>" in (await client.get("/questions")).text
