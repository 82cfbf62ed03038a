"""Memberships on the pages: an invitation is shown, accepted, declined; everybody leaves by a button."""

import pytest

from service.ports.accounts import Role
from support.people import browser, person, visible_text
from support.scenario import customer, ok

WORDS = {
    "en": ("A customer invites you", "Accept", "Decline", "Leave"),
    "fr": ("Un commanditaire vous invite", "Accepter", "Refuser", "Partir"),
    "de": ("Ein Auftraggeber lädt Sie ein", "Annehmen", "Ablehnen", "Austreten"),
}


@pytest.mark.parametrize("language", WORDS)
async def test_an_invitation_is_shown_accepted_and_left(running, api, language):
    invites, accepts, declines, leaves = WORDS[language]
    alpha = await customer(api, "Alpha", contacts=())
    kim = await person(running, "Kim", language=language)
    body = {"email": kim.account.email}
    invited = await ok(api.post(f"/customers/{alpha['id']}/members", json=body))
    at = f"/account/memberships/{invited['id']}"
    async with browser(running, kim) as signed_in:
        home = visible_text((await signed_in.get("/")).text)
        assert invites in home
        assert "Alpha" not in home
        shown = (await signed_in.get("/account")).text
        assert all(word in visible_text(shown) for word in ("Alpha", accepts, declines))
        assert f'action="{at}/accept"' in shown
        # Without the proof that our page sent it, nothing is accepted.
        assert (await signed_in.post(f"{at}/accept")).status_code == 403
        answer = await signed_in.post(f"{at}/accept", data=kim.form())
        assert (answer.status_code, answer.headers["location"]) == (303, "/account?done=membership_accepted")
        home = visible_text((await signed_in.get("/")).text)
        assert invites not in home
        assert "Alpha" in home
        shown = visible_text((await signed_in.get("/account?done=membership_accepted")).text)
        assert leaves in shown
        assert accepts not in shown
        answer = await signed_in.post(f"{at}/leave", data=kim.form())
        assert answer.headers["location"] == "/account?done=membership_left"
        assert "Alpha" not in (await signed_in.get("/account?done=membership_left")).text


async def test_an_invitation_is_declined_and_nobody_answers_that_of_another(running, api):
    alpha = await customer(api, "Alpha", contacts=())
    kim = await person(running, "Kim")
    other = await person(running, "Other", (Role.CUSTOMER_MANAGER, alpha["id"]))
    invited = await ok(api.post(f"/customers/{alpha['id']}/members", json={"email": kim.account.email}))
    at = f"/account/memberships/{invited['id']}"
    async with browser(running, other) as theirs:
        for what in ("accept", "leave"):
            assert (await theirs.post(f"{at}/{what}", data=other.form())).status_code == 404
    async with browser(running, kim) as signed_in:
        assert (await signed_in.post(f"{at}/leave", data=kim.form())).status_code == 303
        assert (await signed_in.post(f"{at}/accept", data=kim.form())).status_code == 404
        assert "Alpha" not in (await signed_in.get("/account")).text
