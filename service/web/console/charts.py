"""Bar charts as numbers: where each bar, line and label of an SVG is. ``templates/charts.html.jinja`` draws them.

Pure. Words and colours are not here: the page gives the labels, ``static/audit.css`` the colours by class.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 400, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 8, 20, 34
#: Share of a bar in the place that it has.
_BAR_SHARE = 0.7
#: Labels that fit side by side; of more bars only some are labelled. The table under the chart has all.
_LABELS_MAX = 8
_STEPS = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """One value to draw."""

    label: str
    #: None: there is no value, so there is no bar
    value: float | None
    #: the value in words, above the bar
    shown: str


@dataclass(frozen=True, slots=True)
class DrawnBar:
    """A bar in the coordinates of the chart."""

    x: float
    y: float
    width: float
    height: float
    middle: float
    #: empty where there is no place for it
    label: str
    shown: str


@dataclass(frozen=True, slots=True)
class Line:
    """A horizontal line with its number."""

    y: float
    number: int


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn chart: ``0 0 width height`` is its view box."""

    width: int
    height: int
    left: int
    right: int
    #: y of the axis, and of the labels below it
    base: int
    labels_y: int
    bars: tuple[DrawnBar, ...]
    lines: tuple[Line, ...]


def bar_chart(bars: Sequence[Bar], *, top: int | None = None) -> Chart:
    """Return the chart of values that are not negative; ``top`` is the highest number of its axis.

    Without ``top`` the axis ends at the first round number above the highest value. A value above ``top`` is drawn as
    high as ``top``. Raises ValueError for a negative value, or one that is not finite.
    """
    values = [bar.value for bar in bars if bar.value is not None]
    if any(value < 0 or not math.isfinite(value) for value in values):
        raise ValueError("a bar cannot be drawn for a value below zero or without an end")
    step = _step(max(values, default=0)) if top is None else max(1, top // _STEPS)
    highest = step * _STEPS
    base = HEIGHT - _BOTTOM
    place = (WIDTH - _LEFT - _RIGHT) / max(1, len(bars))
    every = math.ceil(len(bars) / _LABELS_MAX)
    drawn = []
    for number, bar in enumerate(bars):
        height = round((base - _TOP) * min(1, (bar.value or 0) / highest), 2)
        middle = round(_LEFT + place * (number + 0.5), 2)
        width = round(place * _BAR_SHARE, 2)
        labelled = number % every == 0
        drawn.append(
            DrawnBar(
                x=round(middle - width / 2, 2),
                y=round(base - height, 2),
                width=width,
                height=height,
                middle=middle,
                label=bar.label if labelled else "",
                shown=bar.shown if labelled else "",
            )
        )
    lines = tuple(Line(round(base - (base - _TOP) * number / _STEPS, 2), step * number) for number in range(_STEPS + 1))
    return Chart(WIDTH, HEIGHT, _LEFT, WIDTH - _RIGHT, base, base + 16, tuple(drawn), lines)


def _step(highest: float) -> int:
    """Return the distance of two lines: 1, 2 or 5 times a power of ten, so that all lines are above the values."""
    wanted = highest / _STEPS
    size = 1
    while True:
        for factor in (1, 2, 5):
            if factor * size >= wanted:
                return factor * size
        size *= 10
