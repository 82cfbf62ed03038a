"""The full-text index of SQLite: an FTS5 table that holds terms only, and not the documents.

The row numbers of a kind of document are together, in the order of positions. So one kind is found without looking at
the others, newest first, and the engine stops where the page is full.
"""

#: Numbers of the kinds; a number never changes, for it is part of stored row numbers.
KIND_NUMBERS = {"incident": 1, "effect": 2, "customer": 3, "contact": 4, "notice": 5}
_KIND_BITS = 48
_POSITION_MASK = (1 << _KIND_BITS) - 1
_NUMBERED = " ".join(f"WHEN '{kind}' THEN {number}" for kind, number in KIND_NUMBERS.items())

INDEX_TERMS = "INSERT INTO search_index (rowid, terms) VALUES (?, ?)"
UNINDEX_TERMS = "INSERT INTO search_index (search_index, rowid, terms) VALUES ('delete', ?, ?)"
_ROW_NUMBER = f"((CASE kind {_NUMBERED} END) << {_KIND_BITS}) | position"
#: Makes the index again from the documents. Its segments still have the terms of deleted documents before this.
REBUILD = (
    "INSERT INTO search_index (search_index) VALUES ('delete-all')",
    f"INSERT INTO search_index (rowid, terms) SELECT {_ROW_NUMBER}, terms FROM search_documents ORDER BY 1",  # noqa: S608 - this file's own words
)
_MATCHING = (
    f"search_index JOIN search_documents d ON d.position = (search_index.rowid & {_POSITION_MASK})"
    " WHERE search_index MATCH ?"
)


def row_number(kind: str, position: int) -> int:
    """Return the row number of a document in the index."""
    return (KIND_NUMBERS[kind] << _KIND_BITS) | position


def matching(kind: str | None) -> str:
    """Return what follows FROM to find documents ``d`` by terms, and before a position if a kind is given."""
    if kind is None:
        return _MATCHING
    first = row_number(kind, 0)
    return f"{_MATCHING} AND search_index.rowid < {first} + min(?, {_POSITION_MASK}) AND search_index.rowid > {first}"


def match_of(required: list[list[str]], words: list[str]) -> str:
    """Return the query of FTS5: one term of each required group, and every word as a beginning.

    Terms have no quotation mark, so that nothing in them is syntax. A single letter matches only itself.
    """
    groups = ["(" + " OR ".join(f'"{term}"' for term in group) + ")" for group in required]
    return " AND ".join([*groups, *(f'"{word}"*' if len(word) > 1 else f'"{word}"' for word in words)])
