"""Forms on pages, as a browser without scripts fills and sends them."""

from html.parser import HTMLParser


class _Forms(HTMLParser):
    def __init__(self):
        super().__init__()
        self.forms = []
        self._open = None
        self._select = None
        self._area = None

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            self._open = (attributes.get("action", ""), {})
            self.forms.append(self._open)
        elif self._open is None:
            return
        elif tag == "input":
            self._input(attributes)
        elif tag == "select":
            self._select = attributes["name"]
        elif tag == "option" and self._select:
            chosen = self._open[1].setdefault(self._select, [])
            if "selected" in attributes or not chosen:
                chosen[:] = [attributes.get("value", "")]
        elif tag == "textarea":
            self._area = attributes["name"]
            self._add(self._area, "")

    def handle_data(self, data):
        if self._area:
            # The line break after the start tag is no part of the value (HTML, 13.2.6.4.7).
            values = self._open[1][self._area]
            values[-1] = values[-1] + data if values[-1] else data.removeprefix("\n")

    def handle_endtag(self, tag):
        if tag == "form":
            self._open = None
        elif tag == "select":
            self._select = None
        elif tag == "textarea":
            self._area = None

    def _input(self, attributes):
        kind, name = attributes.get("type", "text"), attributes.get("name")
        if name and (kind not in {"checkbox", "radio"} or "checked" in attributes) and kind != "file":
            self._add(name, attributes.get("value", ""))

    def _add(self, name, value):
        self._open[1].setdefault(name, []).append(value)


def form_on(page, action):
    """Return the fields that a form on a page would send, by name; the last form with this action counts."""
    parser = _Forms()
    parser.feed(page)
    return {name: list(values) for name, values in [fields for to, fields in parser.forms if to == action][-1].items()}


def actions_on(page):
    """Return the actions of the forms on a page."""
    parser = _Forms()
    parser.feed(page)
    return [action for action, _ in parser.forms]
