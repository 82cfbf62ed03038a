"""Charts: where bars and lines are; a page draws them with their words escaped, and a table below."""

import re

import pytest
from jinja2 import Environment, PackageLoader, StrictUndefined

from service.web.console.charts import HEIGHT, WIDTH, Bar, bar_chart


def bars(*values):
    return [Bar(f"label {number}", value, str(value)) for number, value in enumerate(values)]


def drawn(chart, rows=(), title="Title", label="Label"):
    environment = Environment(
        loader=PackageLoader("service.web.console"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    module = environment.get_template("charts.html.jinja").module
    return str(module.bars("own", chart, title, "Description", label, "Value", rows))


def test_heights_are_in_proportion_and_stand_on_the_base():
    chart = bar_chart(bars(1, 2, 4))
    one, two, four = chart.bars
    assert two.height == pytest.approx(2 * one.height, abs=0.02)
    assert four.height == pytest.approx(4 * one.height, abs=0.04)
    for bar in chart.bars:
        assert bar.y + bar.height == pytest.approx(chart.base)
        assert chart.left <= bar.x < bar.x + bar.width <= chart.right
        assert bar.x + bar.width / 2 == pytest.approx(bar.middle, abs=0.01)
    assert one.x + one.width < two.x


@pytest.mark.parametrize(
    ("highest", "numbers"),
    [
        (0, [0, 1, 2, 3, 4]),
        (1, [0, 1, 2, 3, 4]),
        (4, [0, 1, 2, 3, 4]),
        (5, [0, 2, 4, 6, 8]),
        (17, [0, 5, 10, 15, 20]),
        (10_000, [0, 5000, 10_000, 15_000, 20_000]),
    ],
)
def test_lines_are_at_round_numbers_and_above_every_value(highest, numbers):
    chart = bar_chart(bars(highest))
    assert [line.number for line in chart.lines] == numbers
    assert chart.lines[0].y == chart.base
    assert chart.bars[0].y >= chart.lines[-1].y


def test_one_value_and_a_given_top():
    chart = bar_chart([Bar("2026-11", 50, "50%")], top=100)
    (bar,) = chart.bars
    assert [line.number for line in chart.lines] == [0, 25, 50, 75, 100]
    assert bar.y == pytest.approx(chart.lines[2].y)
    assert bar_chart([Bar("x", 300, "300%")], top=100).bars[0].y == chart.lines[-1].y


def test_nothing_to_draw_is_an_empty_chart():
    chart = bar_chart([])
    assert chart.bars == ()
    assert len(chart.lines) == 5
    assert "<rect" not in drawn(chart)


def test_no_value_and_zero_have_no_bar():
    chart = bar_chart([Bar("none", None, ""), Bar("zero", 0, "0")])
    assert [bar.height for bar in chart.bars] == [0, 0]
    shown = drawn(chart)
    assert "<rect" not in shown
    assert ">0</text>" in shown


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_what_cannot_be_drawn_is_refused(value):
    with pytest.raises(ValueError, match="cannot be drawn"):
        bar_chart(bars(value))


def test_of_many_bars_some_are_labelled_and_none_leaves_the_chart():
    chart = bar_chart(bars(*range(24)))
    assert 1 < sum(bool(bar.label) for bar in chart.bars) <= 8
    for bar in chart.bars:
        assert 0 <= bar.x <= bar.x + bar.width <= WIDTH
        assert 0 <= bar.y <= HEIGHT


def test_words_are_escaped_and_the_chart_says_what_it_shows():
    bad = "<script>&\"'"
    shown = drawn(bar_chart([Bar(bad, 1, bad)]), rows=[(bad, bad)], title=bad, label=bad)
    assert "<script>" not in shown
    assert "&lt;script&gt;&amp;" in shown
    assert not re.search(r"\sstyle=", shown)
    assert 'role="img" aria-labelledby="own-title own-desc"' in shown
    assert '<desc id="own-desc">Description</desc>' in shown
    # Each value is in the table below the chart.
    assert shown.index("</svg>") < shown.index("<table>")
    assert '<th scope="row">&lt;script&gt;' in shown
