"""Tiles: names, widths and contents as c2sp.org/tlog-tiles defines them."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.audit.merkle import append_leaves, complete_subtrees, leaf_hash, root_of
from notifications.audit.tile_reading import width_in
from notifications.audit.tiles import (
    MAX_ENTRY_BYTES,
    TILE_WIDTH,
    Tile,
    entry_bundle,
    parse_entry_bundle,
    parse_tile_path,
    split_hashes,
    tile_nodes,
    tile_of_node,
    tile_path,
    tiles_of,
)
from notifications.errors import InvalidInputError


def partial_widths(size):
    """Return the width of the partial tile at each level of a tree, 0 where the last one is full."""
    levels = range((size.bit_length() + 7) // 8)
    return [width_in(size, level, size >> 8 * (level + 1)) for level in levels]


class TestWidths:
    def test_the_example_of_the_format(self):
        assert partial_widths(70_000) == [112, 17, 1]
        levels = [tiles_of(70_000, level) for level in range(4)]
        assert [len(tiles) for tiles in levels] == [274, 2, 1, 0]
        assert [tiles[-1] for tiles in levels[:3]] == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]
        assert all(tile.width == TILE_WIDTH for tiles in levels[:3] for tile in tiles[:-1])
        assert tiles_of(70_000, None)[-1] == Tile(None, 273, 112)

    def test_no_empty_tile(self):
        assert partial_widths(256) == [0, 1]
        assert tiles_of(256, 0) == [Tile(0, 0, 256)]
        assert tiles_of(256, 1) == [Tile(1, 0, 1)]
        assert tiles_of(255, 1) == []
        assert (partial_widths(0), tiles_of(0, 0), tiles_of(0, None)) == ([], [], [])

    @pytest.mark.parametrize(
        ("size", "widths"),
        [
            (1, [1]),
            (255, [255]),
            (257, [1, 1]),
            (65_535, [255, 255]),
            (65_536, [0, 0, 1]),
            (65_537, [1, 0, 1]),
            (2**24 - 1, [255, 255, 255]),
            (2**63 - 1, [255, 255, 255, 255, 255, 255, 255, 127]),
        ],
    )
    def test_around_full_tiles(self, size, widths):
        assert partial_widths(size) == widths
        for level, width in enumerate(widths[:3] if size < 2**20 else []):
            assert tiles_of(size, level)[-1].width == (width or TILE_WIDTH)

    @given(st.integers(0, 2**20))
    @settings(deadline=None, max_examples=60)
    def test_as_the_formula_says(self, size):
        for level, width in enumerate(partial_widths(size)):
            assert width == size // 256**level % 256
            tiles = tiles_of(size, level)
            assert sum(tile.width for tile in tiles) == size // 256**level
            assert (tiles[-1].width if width else 0) == width


class TestPaths:
    @pytest.mark.parametrize(
        ("tile", "path"),
        [
            (Tile(0, 0), "tile/0/000"),
            (Tile(0, 1_234_067), "tile/0/x001/x234/067"),
            (Tile(0, 273, 112), "tile/0/273.p/112"),
            (Tile(1, 1, 17), "tile/1/001.p/17"),
            (Tile(2, 0, 1), "tile/2/000.p/1"),
            (Tile(9, 999), "tile/9/999"),
            (Tile(63, 999), "tile/63/999"),
            (Tile(0, 1000), "tile/0/x001/000"),
            (Tile(None, 0), "tile/entries/000"),
            (Tile(None, 0, 9), "tile/entries/000.p/9"),
            (Tile(None, 1_234_067, 255), "tile/entries/x001/x234/067.p/255"),
            (Tile(0, 2**55 - 1), "tile/0/x036/x028/x797/x018/x963/967"),
        ],
    )
    def test_known_names(self, tile, path):
        assert tile_path(tile) == path
        assert parse_tile_path(path) == tile

    @given(
        st.builds(
            Tile, st.one_of(st.none(), st.integers(0, 63)), st.integers(0, 10**21 - 1), st.integers(1, TILE_WIDTH)
        )
    )
    @settings(deadline=None)
    def test_every_name_reads_back(self, tile):
        assert parse_tile_path(tile_path(tile)) == tile

    @pytest.mark.parametrize(
        "path",
        [
            "",
            "tile/0",
            "tile/0/",
            "/tile/0/000",
            "tile/0/000/",
            "tile/00/000",
            "tile/01/000",
            "tile/64/000",
            "tile/100/000",
            "tile/-1/000",
            "tile/Entries/000",
            "tile//000",
            "tile/0/0",
            "tile/0/0000",
            "tile/0/1000",
            "tile/0/x000/001",
            "tile/0/x001",
            "tile/0/001/x234",
            "tile/0/001/234",
            "tile/0/X001/234",
            "tile/0/000.p/0",
            "tile/0/000.p/00",
            "tile/0/000.p/01",
            "tile/0/000.p/256",
            "tile/0/000.p/999",
            "tile/0/000.p/-1",
            "tile/0/000.p/",
            "tile/0/000.p",
            "tile/0/000\n",
            "tile/0/٠٠٠",
            "tile/0/../0/000",
            "tile/0/" + "x999/" * 7 + "999",
            "tile/0/" + "x999/" * 3000 + "999",
        ],
    )
    def test_any_other_spelling_is_refused(self, path):
        with pytest.raises(InvalidInputError):
            parse_tile_path(path)

    def test_a_name_is_a_value(self):
        assert {Tile(0, 1), Tile(0, 1, TILE_WIDTH)} == {Tile(0, 1)}
        assert not hasattr(Tile(0, 1), "__dict__")

    @given(st.text(max_size=40) | st.text("tile/entris0123459x.p", max_size=40).map("tile/".__add__))
    @settings(deadline=None, max_examples=150)
    def test_arbitrary_text_is_refused_or_is_the_one_name(self, path):
        with suppress(InvalidInputError):
            assert tile_path(parse_tile_path(path)) == path

    @pytest.mark.parametrize("tile", [Tile(0, -1), Tile(0, 0, 0), Tile(0, 0, 257), Tile(-1, 0), Tile(64, 0)])
    def test_what_is_no_tile_has_no_name(self, tile):
        with pytest.raises(InvalidInputError):
            tile_path(tile)


SIZE = 70_000


@pytest.fixture(scope="module")
def nodes():
    """The complete subtrees of a tree of the format's example size."""
    hashes = [leaf_hash(b"%d" % number) for number in range(SIZE)]
    grown = append_leaves(0, lambda wanted: [], hashes)
    return {(level, index): hashed for level, index, hashed in grown.nodes}


class TestContents:
    def contents(self, nodes, tile):
        return b"".join(nodes[node] for node in tile_nodes(tile))

    def test_every_tile_of_a_tree_is_made_of_stored_nodes(self, nodes):
        for level in range(3):
            below = {}
            for tile in tiles_of(SIZE, level):
                hashes = split_hashes(self.contents(nodes, tile))
                assert len(hashes) == tile.width
                below[tile.number] = hashes
            # Each hash of the level above is the root over a full tile here; a partial one is never hashed upward.
            for tile in tiles_of(SIZE, level + 1):
                for place, hashed in enumerate(split_hashes(self.contents(nodes, tile))):
                    full = below[tile.number * TILE_WIDTH + place]
                    assert len(full) == TILE_WIDTH
                    assert root_of(full) == hashed

    def test_every_node_is_found_through_its_tile(self, nodes):
        widest = {(tile.level, tile.number): tile for level in range(3) for tile in tiles_of(SIZE, level)}
        picked = [*complete_subtrees(0, SIZE), (0, 0), (0, 69_999), (7, 3), (8, 272), (9, 100), (15, 1), (16, 0)]
        for level, index in picked:
            tile, first = tile_of_node(level, index)
            served = widest[tile.level, tile.number]
            hashes = split_hashes(self.contents(nodes, served))[first : first + (1 << level % 8)]
            assert len(hashes) == 1 << level % 8
            assert root_of(hashes) == nodes[level, index]

    def test_a_bundle_has_no_hashes(self):
        with pytest.raises(InvalidInputError):
            tile_nodes(Tile(None, 0))

    @pytest.mark.parametrize("length", [0, 31, 33, 256 * 32 + 1, 257 * 32])
    def test_tiles_of_a_wrong_length_are_refused(self, length):
        with pytest.raises(InvalidInputError):
            split_hashes(bytes(length))


class TestBundles:
    def test_the_exact_bytes(self):
        assert entry_bundle([b"", b"a", b"x" * 258]) == b"\x00\x00" + b"\x00\x01a" + b"\x01\x02" + b"x" * 258

    @given(st.lists(st.binary(max_size=300), min_size=1, max_size=TILE_WIDTH))
    @settings(deadline=None, max_examples=60)
    def test_every_bundle_reads_back(self, entries):
        assert parse_entry_bundle(entry_bundle(entries)) == entries

    def test_an_entry_has_a_largest_length(self):
        longest = b"x" * MAX_ENTRY_BYTES
        assert MAX_ENTRY_BYTES == 0xFFFF
        assert parse_entry_bundle(entry_bundle([longest])) == [longest]
        with pytest.raises(InvalidInputError):
            entry_bundle([longest + b"x"])

    def test_a_full_bundle_reads_back(self):
        entries = [b"%d" % number for number in range(256)]
        assert parse_entry_bundle(entry_bundle(entries)) == entries

    @pytest.mark.parametrize("count", [0, 257])
    def test_a_bundle_has_1_to_256_entries(self, count):
        with pytest.raises(InvalidInputError):
            entry_bundle([b"x"] * count)
        with pytest.raises(InvalidInputError):
            parse_entry_bundle(b"\x00\x01x" * count)

    def test_a_bundle_cut_anywhere_is_refused_or_shorter(self):
        entries = [b"one", b"", b"three"]
        whole = entry_bundle(entries)
        ends = {len(entry_bundle(entries[:count])): count for count in (1, 2, 3)}
        for length in range(len(whole)):
            if length in ends:
                assert parse_entry_bundle(whole[:length]) == entries[: ends[length]]
            else:
                with pytest.raises(InvalidInputError):
                    parse_entry_bundle(whole[:length])

    def test_an_entry_longer_than_the_bundle_is_refused(self):
        for data in (b"\x00", b"\x00\x02a", b"\xff\xff" + b"x" * 65_534, b"\x00\x01a\x00", b"\x00\x00\x00"):
            with pytest.raises(InvalidInputError):
                parse_entry_bundle(data)

    @given(st.binary(max_size=120) | st.lists(st.sampled_from([b"\x00\x00", b"\x00\x01a"]), max_size=300).map(b"".join))
    @settings(deadline=None, max_examples=200)
    def test_arbitrary_bytes_are_refused_or_are_the_one_bundle(self, data):
        with suppress(InvalidInputError):
            assert entry_bundle(parse_entry_bundle(data)) == data
        with suppress(InvalidInputError):
            assert b"".join(split_hashes(data)) == data


@pytest.mark.parametrize(
    ("call", "argument", "field"),
    [
        (tile_path, Tile(0, -1), "tile"),
        (tile_path, Tile(64, 0), "tile"),
        (parse_tile_path, "tile", "path"),
        (parse_tile_path, "tile/00/000", "path"),
        (parse_tile_path, "tile/100/000", "path"),
        (parse_tile_path, "tile/0/000.p/256", "path"),
        (parse_tile_path, "tile/0/000.p/1000", "path"),
        (parse_tile_path, "tile/0/000.p/257", "tile"),
        (parse_tile_path, "tile/64/000", "tile"),
        (tile_nodes, Tile(None, 0), "tile"),
        (split_hashes, b"", "tile"),
        (entry_bundle, [], "bundle"),
        (entry_bundle, [bytes(65_536)], "entry"),
        (parse_entry_bundle, b"", "bundle"),
        (parse_entry_bundle, b"\x00", "bundle"),
    ],
)
def test_what_is_wrong_is_named(call, argument, field):
    with pytest.raises(InvalidInputError) as caught:
        call(argument)
    assert [fault.field for fault in caught.value.faults] == [field]
