"""The fields of a form that says what binds a customer: agreement, DPA and products."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from babel.dates import format_date

from notifications.use_cases.incidents.customer_decider import Agreements
from service.web.console.forms import Form

#: The texts of the form; the products are a list.
FIELDS = ("agreement_id", "dpa_id", "effective_on")


def _day(day: date, language: str) -> str:
    # Day before month, as everywhere on these pages.
    return format_date(day, format="long", locale="en_GB" if language == "en" else language)


def stated_terms(form: Form) -> dict[str, Any]:
    """Return the DPA and the products of a form; None where nothing is chosen."""
    return {"dpa_id": form["dpa_id"] or None, "products": tuple(form.all("products")) or None}


def agreement_fields(agreements: Agreements, language: str, products: Sequence[str] = ()) -> dict[str, Any]:
    """Return what can be chosen, in the reader's language. ``products``: the ids that are chosen."""
    by_id = agreements.by_id.values()
    held = [(item.title.in_language(language)[1], item.validity) for item in by_id if item.validity is not None]
    return {
        "agreements": [(item.id, item.title.in_language(language)[1]) for item in by_id],
        "dpas": [(item.id, item.title.in_language(language)[1]) for item in agreements.dpas.values()],
        "products": {product.id: product.title.in_language(language)[1] for item in by_id for product in item.products},
        "chosen_products": list(products),
        "validities": [
            (title, _day(days.from_on, language), None if days.until_on is None else _day(days.until_on, language))
            for title, days in held
        ],
    }
