"""The ways that a calculation takes through the facts of an event: each point of the fact space takes exactly one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from notifications.agreement.reading import FACTS

Result = TypeVar("Result")
#: By the index of a fact: an answer, or None where it is open.
Values = dict[int, str | None]


class Unread(Exception):  # noqa: N818 - no error: a calculation asks for a fact
    """The calculation reads a fact that is neither answered nor open yet."""


class Blank:
    """Stands for a fact without a value, also in copies of a state: nothing can be learnt of it."""

    def __init__(self, fact: int) -> None:
        self.fact = fact

    def __hash__(self) -> int:
        raise Unread(self.fact)

    def __eq__(self, other: object) -> bool:
        raise Unread(self.fact)


_BLANKS = tuple(map(Blank, range(len(FACTS))))


class Partial(list):
    """A state in which some facts have no value: whoever reads one of them is told so."""

    def __getitem__(self, index):
        value = super().__getitem__(index)
        if isinstance(value, Blank):
            raise Unread(value.fact)
        return value


def ways(
    calculate: Callable[[list], Result], answers: Sequence[Sequence[str]], given: Mapping[int, str | None]
) -> Iterator[tuple[Values, Result]]:
    """Yield (values, result) for each way that a calculation takes through the facts that are not given.

    It reads one fact after the other, and each fact that it reads takes every state: its answers, and open. What a way
    does not read cannot change its result, because the state has no value for it.
    """
    waiting: list[Values] = [dict(given)]
    while waiting:
        values = waiting.pop()
        state = Partial(values[fact] if fact in values else _BLANKS[fact] for fact in range(len(FACTS)))
        try:
            result = calculate(state)
        except Unread as asked:
            (fact,) = asked.args
            waiting += [values | {fact: value} for value in (*answers[fact], None)]
        else:
            yield values, result
