"""The list of metrics and the alert rules say what the registry has, under its names and labels."""

import re
from pathlib import Path

import pytest
import yaml
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from notifications.delivery.delivery import OutcomeKind
from service.monitoring.metrics import Metrics

DOCS = Path(__file__).parents[2] / "docs"
#: Told of by Prometheus itself.
_FOREIGN = {"up"}


@pytest.fixture
def registry():
    return Metrics(None, None, version="1").registry


def families(registry):
    """Return name -> (type, labels) of all that is told; counters by the name of their sample."""
    told = {}
    for collector in registry._collector_to_names:
        for family in collector.describe():
            kind = {"gauge": "gauge", "counter": "counter", "histogram": "histogram"}[family.type]
            name = f"{family.name}_total" if kind == "counter" else family.name
            told[name] = kind, tuple(getattr(collector, "_labelnames", ()) or getattr(family, "_labelnames", ()))
    return told


def documented():
    rows = re.findall(
        r"^\| `(greffier_\w+)` \| (\w+)[^|]*\| ([^|]*)\|", (DOCS / "metrics.md").read_text(), re.MULTILINE
    )
    return {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def rules():
    content = yaml.safe_load((DOCS / "alerts.rules.yml").read_text(encoding="utf-8"))
    return [rule for group in content["groups"] for rule in group["rules"]]


def test_every_metric_is_documented_with_its_type_and_labels(registry):
    assert documented() == families(registry)


def test_names_end_in_what_they_count(registry):
    for name, (kind, _) in families(registry).items():
        assert re.fullmatch(r"greffier_[a-z_]+", name)
        assert (kind == "counter") == name.endswith("_total")
        assert kind != "histogram" or name.endswith("_seconds")


def test_outcomes_are_documented():
    row = next(line for line in (DOCS / "metrics.md").read_text().splitlines() if "attempts_total" in line)
    assert [kind.value for kind in OutcomeKind if kind.value not in row] == []


def test_the_rules_are_whole_and_ask_for_metrics_that_there_are(registry):
    told = families(registry)
    known = set(told) | {
        f"{name}_{part}"
        for name, (kind, _) in told.items()
        if kind == "histogram"
        for part in ("sum", "count", "bucket")
    }
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names) > 10
    for rule in rules():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"].endswith(".")
        assert "for" not in rule or re.fullmatch(r"\d+[smh]", rule["for"])
        expression = rule["expr"]
        assert expression.count("(") == expression.count(")")
        assert expression.count("{") == expression.count("}")
        asked = set(re.findall(r"\bgreffier_\w+", expression)) | (_FOREIGN & set(re.findall(r"\w+", expression)))
        assert asked
        assert asked - known - _FOREIGN == set()
        labels = {label for name in asked if name in told for label in told[name][1]} | {"job"}
        for part in re.findall(r"(?:by|on|ignoring) \(([^)]*)\)", expression):
            assert {label.strip() for label in part.split(",")} <= labels, rule["alert"]
        for part in re.findall(r"(\w+)(?:=~|!~|!=|=)\"", expression):
            assert part in labels, rule["alert"]
        for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
            assert label in labels, rule["alert"]


def test_what_a_fresh_registry_tells_is_read_by_the_parser(registry):
    assert CONTENT_TYPE_LATEST.startswith("text/plain")
    told = {family.name for family in text_string_to_metric_families(generate_latest(registry).decode())}
    assert "greffier_build_info" in told
