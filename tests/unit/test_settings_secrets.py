"""Secrets that settings take from files, and where the store is by them."""

import pytest

from notifications.errors import InvalidInputError
from service.settings import Settings
from service.settings.database import DatabaseSettings
from service.settings.mail import MailSettings


@pytest.fixture
def password_file(tmp_path):
    path = tmp_path / "password"
    path.write_text("p@ss/wörd:1\nnot this line\n", encoding="utf-8")
    return path


def settings(tmp_path, **values):
    return Settings(data=tmp_path, database=DatabaseSettings(**values))


def test_without_an_address_the_store_is_the_embedded_one(tmp_path):
    assert settings(tmp_path).store_location() == tmp_path / "greffier.sqlite3"


def test_the_address_of_a_database_gets_the_password_of_a_file(tmp_path, password_file):
    url = "postgresql://greffier_app@db.example:5433/greffier?sslmode=verify-full"
    assert settings(tmp_path, url=url).store_location() == url
    given = settings(tmp_path, url=url, password_file=password_file).store_location()
    assert given == ("postgresql://greffier_app:p%40ss%2Fw%C3%B6rd%3A1@db.example:5433/greffier?sslmode=verify-full")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://a@b/c", "must begin with postgresql://"),
        ("postgresql://db.example/greffier", "must name a role"),
        ("postgresql://a:secret@db.example/greffier", "without a password"),
    ],
)
def test_an_address_that_cannot_be_is_refused_without_quoting_it(tmp_path, password_file, url, reason):
    with pytest.raises(InvalidInputError, match=reason) as caught:
        settings(tmp_path, url=url, password_file=password_file).store_location()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "\nsecond\n"])
def test_a_password_file_without_a_password_is_refused(tmp_path, content):
    path = tmp_path / "empty"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidInputError, match="first line is empty"):
        settings(tmp_path, url="postgresql://a@b/c", password_file=path).store_location()


def test_the_password_at_the_relay_comes_from_a_file_too(tmp_path, password_file):
    assert MailSettings().secret() is None
    password_file.write_text("s3cret\n", encoding="utf-8")
    assert MailSettings(password_file=password_file).secret() == "s3cret"
    assert MailSettings(password_file=password_file, password="other").secret() == "other"
    with pytest.raises(InvalidInputError, match=r"mail\.password_file"):
        MailSettings(password_file=tmp_path / "nowhere").secret()
