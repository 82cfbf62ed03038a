"""The health of the parts of a process."""

from collections.abc import Callable

#: Returns why a part is not ready, or None.
Probe = Callable[[], str | None]
