"""A unit of work whose reads have a reader of their own."""

from collections.abc import Callable
from typing import Any, TypeVar

from service.store.engines.opening import Store

ResultT = TypeVar("ResultT")


class BackgroundUnitOfWork:
    """Implements ``notifications.ports.UnitOfWork`` on a store, for long reads in great number.

    They come one after the other, and no other read waits for them. Its writes are those of the store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def write(self, work: Callable[[Any], ResultT], *, concurrently: bool = False) -> ResultT:
        """Run ``work`` in a transaction and return its result once it is durable; see the port."""
        return await self._store.write(work, concurrently=concurrently)

    async def read(self, work: Callable[[Any], ResultT]) -> ResultT:
        """Run ``work`` against one consistent snapshot; see the port."""
        return await self._store.read_in_background(work)
