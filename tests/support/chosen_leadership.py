"""A leader election whose result a test sets."""

import asyncio


class ChosenLeadership:
    """Leads or follows as the test sets it."""

    def __init__(self, *, leads=False):
        self.on_change = []
        self._leading, self._following = asyncio.Event(), asyncio.Event()
        self.choose(leads=leads)

    @property
    def leads(self):
        return self._leading.is_set()

    def choose(self, *, leads):
        now, before = (self._leading, self._following) if leads else (self._following, self._leading)
        now.set()
        before.clear()
        for hook in self.on_change:
            hook()

    async def gained(self):
        await self._leading.wait()

    async def lost(self):
        await self._following.wait()

    def health(self):
        return None
