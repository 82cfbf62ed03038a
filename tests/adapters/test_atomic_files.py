"""Files are there whole or not at all, with the mode that they are to have from the first moment."""

import pytest

from notifications.errors import InvalidInputError
from service.system.atomic_files import replace_file, replaced, write_new
from service.system.file_lock import file_lock, sole_use


def mode(path):
    return path.stat().st_mode & 0o777


def test_a_new_file_replaces_none(tmp_path):
    path = tmp_path / "key"
    write_new(path, b"one", 0o600)
    with pytest.raises(FileExistsError):
        write_new(path, b"two", 0o600)
    assert (path.read_bytes(), mode(path)) == (b"one", 0o600)


def test_what_a_crash_left_beside_gives_a_file_neither_its_mode_nor_its_bytes(tmp_path):
    path, left = tmp_path / "key", tmp_path / "key.new"
    write_new(path, b"one", 0o644)
    left.write_bytes(b"half of it, and more than the other")
    left.chmod(0o666)
    replace_file(path, b"two", 0o600)
    assert (path.read_bytes(), mode(path)) == (b"two", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_through_no_link(tmp_path):
    path, elsewhere = tmp_path / "key", tmp_path / "elsewhere"
    elsewhere.write_bytes(b"mine")
    (tmp_path / "key.new").symlink_to(elsewhere)
    replace_file(path, b"two", 0o600)
    assert (path.read_bytes(), elsewhere.read_bytes()) == (b"two", b"mine")


def test_a_file_that_is_not_finished_leaves_what_was_there(tmp_path):
    path = tmp_path / "bundle.zip"
    path.write_bytes(b"before")
    with pytest.raises(TypeError), replaced(path) as file:
        file.write("no bytes")
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"before", [path])
    with replaced(path) as file:
        file.write(b"whole")
    assert (path.read_bytes(), mode(path), list(tmp_path.iterdir())) == (b"whole", 0o600, [path])


def test_a_folder_in_use_is_refused_and_free_again_afterwards(tmp_path):
    with sole_use(tmp_path), pytest.raises(InvalidInputError, match="in use by another process"), sole_use(tmp_path):
        pass
    with sole_use(tmp_path):
        pass
    with pytest.raises(RuntimeError), file_lock(tmp_path / "lock"):
        raise RuntimeError
    with sole_use(tmp_path):
        pass
