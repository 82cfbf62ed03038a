"""The page of settings says what the classes say."""

from pathlib import Path

import pytest

from service.settings.reference import settings_page
from service.settings.settings import FIELDS

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_made_from_the_classes():
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == settings_page()


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_says_in_whole_sentences_what_it_is_for(name):
    description = FIELDS[name].description
    assert description
    assert description.endswith(".")
    assert "|" not in description
    assert "\n" not in description
