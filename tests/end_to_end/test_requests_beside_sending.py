"""While many mails leave, requests have their turn."""

import asyncio

from service.crypto.cms_signer import CmsSigner
from support.clocks import SteppedClock
from support.desk import desk_of

MAILS = 12


async def test_no_two_mails_are_assembled_without_a_turn_for_others(data_folder, monkeypatch):
    turns, signed_in = 0, []
    sign = CmsSigner.sign_detached

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def noting(self, content):
        signed_in.append(turns)
        return sign(self, content)

    monkeypatch.setattr(CmsSigner, "sign_detached", noting)
    async with desk_of(data_folder, SteppedClock()) as desk:
        owner = await desk.customer(*(f"contact-{number}@valmont.example" for number in range(MAILS)))
        ticking = asyncio.create_task(others())
        await desk.notified(owner)
        await desk.smtp.until(lambda: len(desk.smtp.served) == MAILS)
        ticking.cancel()
    # The notice, then each of its mails.
    assert len(signed_in) >= 1 + MAILS
    assert len(set(signed_in)) == len(signed_in)
