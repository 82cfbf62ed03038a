"""Waiting for what a running service brings about, without asking it all the time."""

import asyncio


async def until(store, asked, seconds=60):
    """Return what is asked for once there is something; it is asked for again after each commit of the store."""
    changed = asyncio.Event()

    def committed(_kinds):
        changed.set()

    store.on_commit.append(committed)
    try:
        async with asyncio.timeout(seconds):
            while not (found := await asked()):
                await changed.wait()
                changed.clear()
        return found
    finally:
        store.on_commit.remove(committed)


async def until_read(store, condition, seconds=60):
    """Wait until a condition on the store's own transaction holds; returns what it returned."""
    return await until(store, lambda: store.read(condition), seconds)
