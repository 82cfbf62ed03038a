"""The work that requests cost the store: their statements, and the steps that SQLite's machine takes for them.

Steps grow with the rows that a statement looks at, whether it returns them or not. Unlike time, they are exact.
"""

import re
import sqlite3
from dataclasses import dataclass, field, replace
from functools import partial

#: values in the text of a statement: of a caller, of a time, of an object
_VALUES = re.compile(r"x'[0-9a-f]*'|'(?:[^']|'')*'|(?<![\w.])-?\d+(?![\w.])", re.IGNORECASE)


@dataclass
class StoreWork:
    """What the jobs of requests did since the last ``taken``; it stands before the store of a running service."""

    store: object
    #: count the statements of reads only: to trace the INSERT of a thousand rows with a trigger each takes minutes
    reads_only: bool = False
    #: text and steps of each
    statements: list = field(default_factory=list)

    @property
    def on_commit(self):
        return self.store.on_commit

    async def read(self, work):
        return await self.store.read(partial(self._counted, work))

    async def write(self, work, **options):
        return await self.store.write(work if self.reads_only else partial(self._counted, work), **options)

    def taken(self):
        """Return (statement without its values, steps) of each statement, and begin anew."""
        found = [(_VALUES.sub("?", statement), steps) for statement, steps in self.statements]
        self.statements = []
        return found

    def _counted(self, work, tx):
        connection: sqlite3.Connection = tx._session._connection
        connection.set_trace_callback(lambda statement: self.statements.append([statement, 0]))
        if not self.reads_only:
            connection.set_progress_handler(self._step, 1)
        try:
            return work(tx)
        finally:
            connection.set_progress_handler(None, 1)
            connection.set_trace_callback(None)

    def _step(self):
        self.statements[-1][1] += 1
        return 0


def watch_requests(running, *, reads_only=False):
    """Count the work of a running service's requests from now on; not that of finding out who asks."""
    state = running.app.state
    watched = StoreWork(state.api_context.unit_of_work, reads_only)
    state.api_context = replace(state.api_context, unit_of_work=watched)
    return watched
