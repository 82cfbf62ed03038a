"""Words, colours and templates of the pages: every key in every language, no bare text, contrasts that can be read."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources
from itertools import pairwise
from typing import get_args

import pytest

from notifications.decision import DueKind
from notifications.delivery.delivery import ChannelKind, DeliveryState, Outcome, OutcomeKind
from notifications.notice import NoticeKind, NoticeState
from notifications.wording import words
from service.auth.permissions import Permission
from service.ports.accounts import Role
from service.web.api.operations.attention import AttentionItem
from service.web.console.answers import meaning_of, meaning_of_status
from service.web.console.catalogues import CATALOGUES, language_of, text
from service.web.console.sign_in.sign_in_pages import _NOTICES

FOLDER = resources.files("service.web.console")
TEMPLATES = {
    item.name: item.read_text() for item in FOLDER.joinpath("templates").iterdir() if item.name.endswith(".jinja")
}
CSS = FOLDER.joinpath("static", "console.css").read_text()
PLACEHOLDER = re.compile(r"\{(\w+)\}")
SAID_ATTRIBUTES = {"alt", "aria-label", "title", "placeholder", "label", "data-failed"}


def test_every_key_stands_in_every_language_with_the_same_values():
    english = CATALOGUES["en"]
    for language, catalogue in CATALOGUES.items():
        assert catalogue.keys() == english.keys(), language
        for key, message in catalogue.items():
            assert message.strip(), (language, key)
            assert set(PLACEHOLDER.findall(message)) == set(PLACEHOLDER.findall(english[key])), (language, key)


@pytest.mark.parametrize(("language", "written"), [("en", "10,001"), ("fr", "10\u202f001"), ("de", "10.001")])
def test_a_count_has_the_digit_groups_of_the_language(language, written):
    assert written in text("customers.count", language, count=10_001)


def test_languages_differ():
    # A word that is the same in two languages is one of few, such as Service and Nature.
    for one, other in pairwise(["fr", "en", "de"]):
        same = {key for key, message in CATALOGUES[one].items() if message == CATALOGUES[other][key]}
        assert len(same) < len(CATALOGUES[one]) / 50, same


@pytest.mark.parametrize("language", sorted(CATALOGUES))
def test_every_code_has_its_words(language):
    wanted = (
        [f"role.{role}" for role in Role]
        + [f"permission.{permission}" for permission in Permission]
        + [f"state.{state}" for state in NoticeState]
        + [f"waiting.{kind}" for kind in get_args(AttentionItem.model_fields["kind"].annotation)]
        + [f"sign_in.{notice}" for notice in _NOTICES]
        + [f"channel.{channel}" for channel in ChannelKind]
        + [f"delivery.{channel}.{state}" for channel in ChannelKind for state in DeliveryState]
    )
    for key in wanted:
        assert text(key, language)
    for identifier in [f"kind.{kind}" for kind in NoticeKind] + [f"due.{kind}" for kind in DueKind]:
        assert words(identifier, language) != identifier


def _answer(kind, code=None, status=None):
    return replace(Outcome.failure(kind, "words of the other side"), code=code, enhanced_status=status)


@pytest.mark.parametrize(
    ("channel", "outcome", "meaning"),
    [
        ("email", _answer(OutcomeKind.ACCEPTED, 250, "2.0.0"), "accepted_email"),
        ("email", _answer(OutcomeKind.PERMANENT_FAILURE, 550, "5.1.1"), "status.1_1"),
        ("email", _answer(OutcomeKind.PERMANENT_FAILURE, 556), "status.1_10"),
        ("email", _answer(OutcomeKind.TRANSIENT_FAILURE, 450, "4.7.1"), "status.7_1"),
        ("email", _answer(OutcomeKind.TRANSIENT_FAILURE, 452), "status.3_1"),
        ("email", _answer(OutcomeKind.PERMANENT_FAILURE, 550), "status.0_0"),
        ("email", _answer(OutcomeKind.PERMANENT_FAILURE, 550, "5.4.999"), "status.4_0"),
        ("email", _answer(OutcomeKind.PERMANENT_FAILURE, 550, "5.99.1"), "status.0_0"),
        ("email", _answer(OutcomeKind.TRANSIENT_FAILURE), "no_answer"),
        ("email", _answer(OutcomeKind.REFUSED_HERE), "not_sent"),
        ("webhook", _answer(OutcomeKind.ACCEPTED, 204), "accepted_webhook"),
        ("webhook", _answer(OutcomeKind.PERMANENT_FAILURE, 404), "http.404"),
        ("webhook", _answer(OutcomeKind.PERMANENT_FAILURE, 422), "http.other_refusal"),
        ("webhook", _answer(OutcomeKind.TRANSIENT_FAILURE, 503), "http.server_error"),
        ("webhook", _answer(OutcomeKind.PERMANENT_FAILURE, 301), "http.no_success"),
    ],
)
def test_the_answer_of_another_system_has_its_meaning_in_every_language(channel, outcome, meaning):
    assert meaning_of(channel, outcome) == f"answer.{meaning}"
    for catalogue in CATALOGUES.values():
        assert catalogue[f"answer.{meaning}"]


def test_an_answer_that_nobody_gave_has_no_meaning():
    assert meaning_of("console", _answer(OutcomeKind.ACCEPTED)) is None
    assert meaning_of_status(None) is None
    assert meaning_of_status("2.1.5") is None


class BareText(HTMLParser):
    """Collects words outside expressions: in text, and in attributes that are read out."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_data(self, data):
        self.found += re.findall(r"[^\W\d_]{2,}", data)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in SAID_ATTRIBUTES and re.search(r"[^\W\d_]", value or ""):
                self.found.append(f"{name}={value}")


#: File names, and commands that are typed as they are.
NOT_LANGUAGE = re.compile(
    r"notice\.(json|tlog-proof|eml)[.\w]*|resources\.csv|log-verifier\.js"
    r"|<pre class=\"command\">(?:openssl|greffier|sed) .*?</pre>"
)


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_no_template_has_bare_text(name):
    attributes = re.sub(r"\{% block main_class %\}.*?\{% endblock %\}", "", TEMPLATES[name])
    source = re.sub(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", "", NOT_LANGUAGE.sub("", attributes), flags=re.DOTALL)
    parser = BareText()
    parser.feed(source)
    assert parser.found == []


def test_the_check_for_bare_text_finds_it():
    parser = BareText()
    parser.feed('<p>Hello</p><img alt="a thing">')
    assert parser.found == ["Hello", "alt=a thing"]


def test_every_key_that_a_template_names_is_there():
    for name, source in TEMPLATES.items():
        for key in re.findall(r"""\bt\("([\w.]+)"[,)]""", source):
            assert key in CATALOGUES["en"], (name, key)


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_no_template_has_inline_scripts_styles_or_things_from_elsewhere(name):
    source = TEMPLATES[name]
    assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:|\|\s*safe\b", source)
    assert not re.search(r"""(src|href|action)="(https?:)?//""", source)
    for script in re.findall(r"<script[^>]*>.*?</script>", source, re.DOTALL):
        assert re.fullmatch(r'<script type="module" src="\{\{ static\("[\w.-]+"\) \}\}"></script>', script)


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_every_form_that_a_session_sends_carries_its_proof(name):
    for form in re.findall(
        r"<form method=\"post\" action=\"(?:/account|/sign-out).*?</form>", TEMPLATES[name], re.DOTALL
    ):
        assert "csrf" in form


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "fr"),
        ("es", "fr"),
        ("de-AT,de;q=0.9,en;q=0.5", "de"),
        ("en;q=0.3, de;q=0.7", "de"),
        ("es, en-GB;q=0.8", "en"),
        ("de;q=0", "fr"),
        ("de;q=many", "fr"),
        (";;;,,q=,", "fr"),
    ],
)
def test_the_language_is_what_the_browser_prefers(header, language):
    assert language_of(header, "fr") == language


# -- colours


def colours():
    """Return the custom properties of the light and of the dark scheme."""
    light, dark = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    found = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in (light, dark)]
    return {"light": found[0], "dark": found[1]}


def luminance(colour):
    """WCAG 2.2, relative luminance."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    """WCAG 2.2, contrast ratio."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


TEXT_ON = [
    *[(text, ground) for text in ("text", "muted", "link", "danger", "accent") for ground in ("ground", "surface")],
    ("on-accent", "accent"),
    ("alert-text", "alert-ground"),
    ("info-text", "info-ground"),
    ("on-top", "top"),
    ("on-top-muted", "top"),
]
CONTROLS_ON = [(edge, ground) for edge in ("control-line", "focus") for ground in ("ground", "surface")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_schemes(scheme):
    palette = colours()[scheme]
    for front, ground in TEXT_ON:
        assert contrast(palette[front], palette[ground]) >= 4.5, (front, ground)
    for edge, ground in CONTROLS_ON:
        assert contrast(palette[edge], palette[ground]) >= 3, (edge, ground)


def test_labels_of_the_traffic_light_protocol_can_be_read():
    for name, colour in re.findall(r"\.tlp-(\w+) \{ color: (#[0-9a-f]{6}); \}", CSS):
        assert contrast(colour, "#000000") >= 4.5, name


def test_the_computation_of_contrasts_is_right():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.01)


def test_no_colour_hides_outside_the_palette():
    # But for the labels, whose colours are the protocol's, and the ground that a QR code needs.
    rest = CSS.split("*,\n*::before", 1)[1]
    assert set(re.findall(r"#[0-9a-f]{3,8}\b", rest)) == {
        "#000000", "#6b7280", "#ff2b2b", "#ffc000", "#33ff00", "#ffffff",
    }  # fmt: skip
