"""Every kind of entry that the program writes has words in each language."""

import ast
import re
from pathlib import Path

from service.web.console.catalogues import CATALOGUES


def test_every_kind_that_is_written_has_words():
    root = Path(__file__).parents[2]
    written = set()
    for path in [*(root / "service").rglob("*.py"), *(root / "notifications").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(getattr(node, "func", None), "attr", "")
            if isinstance(node, ast.Call) and name == "entry":
                parts = [each for given in node.args[:1] for each in ast.walk(given)]
                written |= {each.value for each in parts if isinstance(each, ast.Constant) and "." in str(each.value)}
    kinds = {kind for kind in written if re.fullmatch(r"[a-z_]+\.[a-z_]+", kind)}
    assert len(kinds) > 50
    assert {f"entry_kind.{kind}" for kind in kinds} <= CATALOGUES["en"].keys()
