"""What SMTP replies say, in the words of the servers that customers and providers run."""

import pytest

from service.channels.smtp_reply import enhanced_status, one_line, queue_id


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2.0.0 Ok: queued as 4XyZq10001", "4XyZq10001"),
        ("2.0.0 Ok: queued as 3F2A91C0D4", "3F2A91C0D4"),
        ("OK id=1tABCd-0000000AbCd-1xYz", "1tABCd-0000000AbCd-1xYz"),
        ("2.0.0 4AN4jZ12003456 Message accepted for delivery", "4AN4jZ12003456"),
        ("2.0.0 e1a2b3c4 Message accepted for delivery", "e1a2b3c4"),
        (
            "2.6.0 <abc@greffier.example> [InternalId=123456789, Hostname=mx.example] Queued mail for delivery",
            "123456789",
        ),
        ("2.0.0 OK  1763872000 5b1f17b1804b1-477a.65 - gsmtp", "5b1f17b1804b1-477a.65"),
        ("ok 1763872000 qp 12345", "12345"),
        ("Message Queued (0A1B2C3D-1111-2222-3333-444455556666.1)", "0A1B2C3D-1111-2222-3333-444455556666.1"),
        ("2.0.0 Message queued with id 1a2b3c.", "1a2b3c"),
        (
            "Ok 010f018c2f3a4b5c-0a1b2c3d-1111-2222-3333-444455556666-000000",
            "010f018c2f3a4b5c-0a1b2c3d-1111-2222-3333-444455556666-000000",
        ),
        ("2.0.0 Ok", None),
        ("Message accepted for delivery", None),
        ("2.6.0 <abc@greffier.example> Queued mail for delivery", None),
        ("", None),
    ],
)
def test_the_queue_id_is_found_where_it_is_told(text, expected):
    assert queue_id(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2.0.0 Ok", "2.0.0"),
        ("5.1.10 no such user", "5.1.10"),
        ("no such user 5.1.1", None),
        ("10.0.0.1 is on a list", None),
        ("5.1 no", None),
        ("", None),
    ],
)
def test_the_enhanced_status_is_what_the_text_begins_with(text, expected):
    assert enhanced_status(text) == expected


def test_one_line_is_printable_and_short():
    assert one_line("a\r\nb\x00\x1b[1m\u2028c\u202ed\udc80\t e ") == "a b [1m c d e"
    assert len(one_line("x" * 100_000)) == 500
    assert one_line("\x00" * 100_000) == ""
