"""Other MIME decoders as judges: of a header that we take for the signed one, each of them shows what was signed.

libmime and postal-mime (npm), and Perl's Encode::MIME::Header. What we refuse, nothing is claimed of.
"""

import base64
import json
import quopri
import random
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest

from notifications.errors import VerificationError
from notifications.evidence.verdict import Verdict, judge_notice_mail
from notifications.mail.parts import PROTECTED_HEADERS
from notifications.mail.signed_mail import parse_signed_mail
from support.sealed_sample import ADDRESS, Office, body_start

FOLDER = Path(__file__).parents[1] / "mime_decoders"
SUBJECT = "[TLP:AMBER+STRICT] INC-2026-000042 #1 – Störung"
NAME = "Sovereign Cloud – Sécurité"


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory):
    """Install the pinned packages; without npm there is nothing to ask, and the tests are not installed whole."""
    assert shutil.which("npm"), "npm is not here: install nodejs and npm, as .ci/run does"
    folder = tmp_path_factory.mktemp("mime") / "decoders"
    shutil.copytree(FOLDER, folder)
    words = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(words, cwd=folder, check=True, capture_output=True, timeout=240)
    return folder


@pytest.fixture(scope="session")
def shown(node_folder):
    """Return what each decoder shows of header blocks, white space and quotes apart."""
    return partial(_shown, node_folder)


def _shown(node_folder, blocks):
    asked = json.dumps([base64.b64encode(block).decode() for block in blocks])
    node = subprocess.run(
        ["node", "decode.mjs"], cwd=node_folder, input=asked.encode(), check=True, capture_output=True, timeout=120
    )
    lines = [base64.b64encode(values(block)) for block in blocks]
    perl = subprocess.run(
        ["perl", FOLDER / "decode.pl"], input=b"\n".join(lines) + b"\n", check=True, capture_output=True, timeout=120
    )
    return [
        squeezed({**by_node, "perl": base64.b64decode(line).decode()})
        for by_node, line in zip(json.loads(node.stdout), perl.stdout.splitlines(), strict=True)
    ]


def values(block):
    """Return the values of From, To and Subject, one a line, still folded."""
    found = [re.search(rb"(?mi)^%s:(.*\r\n(?:[ \t].*\r\n)*)" % name, block) for name in (b"from", b"to", b"subject")]
    return b"\n".join(match[1] if match else b"" for match in found)


def squeezed(read):
    if isinstance(read, dict):
        return {key: squeezed(item) for key, item in read.items() if item not in (None, [])}
    if isinstance(read, list):
        return [squeezed(item) for item in read]
    return re.sub(r'[\s"\\]+', " ", read).strip() if isinstance(read, str) else read


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    return Office(tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="module")
def mail(office):
    return office.mail(office.seal())


def replaced(mail, name, value):
    """Return the mail with another outer header; the signed one stays."""
    head, body = mail[: body_start(mail)], mail[body_start(mail) :]
    changed, count = re.subn(
        rb"(?m)^%s: .*\r\n(?:[ \t].*\r\n)*" % name.encode(), lambda _: f"{name}: {value}\r\n".encode(), head
    )
    assert count == 1
    return changed + body


def b64(text, charset="utf-8"):
    return f"=?{charset}?b?{base64.b64encode(text.encode(charset)).decode()}?="


#: Spellings of the signed subject, and of the signed sender, that are read alike everywhere.
SAME = [
    ("Subject", f"{b64(SUBJECT[:20])} {b64(SUBJECT[20:])}"),
    ("Subject", f"{b64(SUBJECT[:20])}\r\n\t{b64(SUBJECT[20:])}"),
    ("Subject", f"[TLP:AMBER+STRICT] INC-2026-000042 #1 {b64('– Störung')}"),
    ("Subject", "[TLP:AMBER+STRICT]\r\n INC-2026-000042 #1 =?UTF-8?Q?=E2=80=93?=  =?utf-8?q?_St=C3=B6rung?="),
    ("Subject", f"{b64('[TLP:AMBER+STRICT]', 'us-ascii')} INC-2026-000042 #1 {b64('– Störung').replace('?b?', '?B?')}"),
    ("From", f"{b64(NAME)} <{ADDRESS}>"),
    ("From", f"Sovereign Cloud {b64('– Sécurité')} <{ADDRESS}>"),
    ("From", f"=?us-ascii?q?Sovereign_Cloud?= {b64('– Sécurité')}\r\n <{ADDRESS}>".replace("?= =?utf", "_?= =?utf")),
    ("From", f"{b64(NAME[:10])}\r\n {b64(NAME[10:])}\r\n\t<{ADDRESS}>"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), SAME)
def test_a_header_that_is_encoded_otherwise_is_the_same_where_every_decoder_reads_it_alike(
    office, mail, shown, name, value
):
    changed = replaced(mail, name, value)
    assert judge_notice_mail(changed, office.trust).verdict is Verdict.GENUINE
    block, signed = shown([changed[: body_start(changed)], mail[: body_start(mail)]])
    assert block == signed
    assert NAME in block["libmime"]["from"][0]
    assert block["postal-mime"]["from"]["name"] == NAME
    assert SUBJECT == block["postal-mime"]["subject"] == block["libmime"]["subject"][0]
    assert SUBJECT in block["perl"]


CODED = base64.b64encode("– Störung".encode()).decode()
LEAD = "[TLP:AMBER+STRICT] INC-2026-000042 #1"

#: Spellings that have more than one reading, or another one.
REFUSED = [
    ("Subject", f"{LEAD} =?utf-8?b?{base64.b64encode('– Störung!'.encode()).decode()}QQ==?="),
    ("Subject", f"{LEAD} =?utf-8?b?{base64.b64encode('– Störun'.encode()).decode().rstrip('=')}?= g"),
    ("Subject", f"{LEAD} =?utf-8?b?{CODED[:4]}={CODED[4:]}?="),
    ("Subject", f"{LEAD} =?utf-8?b?{CODED[:4]}.{CODED[4:]}?="),
    ("Subject", f"{LEAD} =?utf-8?b?{CODED}====?="),
    ("Subject", f"{LEAD} =?utf-8?b?{CODED}?= =?utf-8?b?====?="),
    ("Subject", f"{LEAD} =?utf8?b?{CODED}?="),
    ("Subject", f"{LEAD} =?utf-8*en?b?{CODED}?="),
    ("Subject", f"{LEAD} =?utf-7?q?+IBM_St+APY-rung?="),
    ("Subject", f"{LEAD} =?iso-8859-15?q?St=F6rung?="),
    ("Subject", f"{LEAD} =?windows-1252?q?=96_St=F6rung?="),
    ("Subject", f"{LEAD} =?utf-16?b?{base64.b64encode('– Störung'.encode('utf-16')).decode()}?="),
    ("Subject", f"{LEAD} =?unknown?q?=E2=80=93_St=C3=B6rung?="),
    ("Subject", f"{LEAD} =?utf-8?q?=e2=80=93_St=c3=b6rung?="),
    ("Subject", f"{LEAD} =?utf-8?q?=E2=80=93_St=C3=B6=72ung?="),
    ("Subject", f"{LEAD} =?utf-8?q?=E2=80=93_St=C3?= =?utf-8?q?=B6rung?="),
    ("Subject", f"{LEAD} =?utf-8?q?=E2=80=93_St=C3=B6rung=?="),
    ("Subject", f"{LEAD} =?utf-8?q?=E2=80=93 St=C3=B6rung?="),
    ("Subject", f"{LEAD} =?utf-8?x?=E2=80=93_St=C3=B6rung?="),
    ("Subject", f"{LEAD} =?utf-8?b?{CODED}?=!"),
    ("Subject", f"{LEAD} ({b64('– Störung')})"),
    ("Subject", f"{LEAD}{b64(' – Störung')}"),
    ("Subject", f"{LEAD} {b64('–')}{b64(' Störung')}"),
    ("Subject", f"{LEAD} – Störung"),
    ("Subject", f"{b64(SUBJECT + ' ' * 30)}"),
    ("Subject", f"{b64(SUBJECT)}\r\n\r\n"),
    ("From", f'"{NAME}" <{ADDRESS}>'),
    ("From", f'"{b64(NAME)}" <{ADDRESS}>'),
    ("From", f'" {b64(NAME)} " <{ADDRESS}>'),
    ("From", f"{b64(NAME)} <{ADDRESS}> <x@evil.example>"),
    ("From", f"{b64(NAME)} <x@evil.example> <{ADDRESS}>"),
    ("From", f"{b64(NAME)} <{ADDRESS}>, x@evil.example"),
    ("From", f"{b64(NAME)} (x@evil.example) <{ADDRESS}>"),
    ("From", f"{b64(NAME + ' x@evil.example')} <{ADDRESS}>"),
    ("From", f'"x@evil.example" <{ADDRESS}>'),
    ("From", f'"{ADDRESS}" <x@evil.example>'),
    ("From", f"{b64(NAME)} {b64('<' + ADDRESS + '>')}"),
    ("From", f"team: {b64(NAME)} <{ADDRESS}>;"),
    ("From", f"{b64(NAME)} <@evil.example:{ADDRESS}>"),
    ("From", ADDRESS),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_a_header_with_more_than_one_reading_is_not_the_signed_one(office, mail, name, value):
    changed = replaced(mail, name, value)
    judged = judge_notice_mail(changed, office.trust)
    assert judged.verdict in {Verdict.CHANGED_OUTSIDE, Verdict.NOT_GENUINE}
    if judged.verdict is Verdict.CHANGED_OUTSIDE:
        assert f"the header {name} is not the one under the signature" in judged.reasons


PIECES = [
    b" ",
    b"\t",
    b"\r\n ",
    b"\r\n\t",
    b"=?",
    b"?=",
    b"=?utf-8?q?",
    b"=?utf-8?b?",
    b"=?UTF-8?Q?",
    b"=",
    b"==",
    b"?",
    b"_",
    b'"',
    b"\\",
    b"<",
    b">",
    b"(",
    b")",
    b",",
    b";",
    b":",
    b"@",
    b"x@evil.example",
    b"<x@evil.example>",
    b"\x00",
    b"\x0b",
    b"\xc3\xa9",
    b"\xa0",
    b"\r\nReply-To: x@evil.example",
    b"\r\nSubject: other",
    b"\r\nX-Other: value",
    b"\r\nCc:",
    b"\r\nfrom: x@evil.example",
    b"\r\nSender: x@evil.example",
    b"QQ==",
    b"=41",
    b"us-ascii",
    b"A",
    b"\r",
    b"\n",
]


def mutated(chance, block):
    """Return the header block with a few pieces put in, taken out or doubled."""
    for _ in range(chance.randint(1, 3)):
        position = chance.randrange(len(block) - 2)
        until = min(position + chance.randint(0, 3), len(block) - 2)
        piece = chance.choice([*PIECES, b"", block[position : position + chance.randint(1, 12)]])
        block = block[:position] + piece + block[until:]
    return block


def spelled(chance, text):
    """Return header text in random pieces, each plain or encoded, some in an unusual way."""
    pieces = []
    while text:
        taken, text = text[: (length := chance.randint(1, 14))], text[length:]
        charset = chance.choice(["utf-8", "utf-8", "UTF-8", "us-ascii", "iso-8859-1", "utf-16"])
        data = taken.encode(charset, "replace")
        kind = chance.choice(["plain", "b", "q", "q"])
        if kind == "b":
            encoded = base64.b64encode(data).decode()
            encoded = chance.choice([encoded, encoded, encoded, encoded.rstrip("="), f"{encoded}QQ==", f"={encoded}"])
        else:
            encoded = quopri.encodestring(data, header=True).decode().replace("=\n", "")
            encoded = chance.choice([encoded, encoded, encoded.lower(), encoded.replace("_", "=20")])
        word = taken if kind == "plain" else f"=?{charset}?{chance.choice([kind, kind.upper()])}?{encoded}?="
        pieces += [word, chance.choice(["", " ", " ", "\r\n ", "  "])]
    return "".join(pieces)


def accepted(head, body):
    """Return whether we take the outer headers for the signed ones."""
    try:
        parsed = parse_signed_mail(head + body)
    except VerificationError:
        return False
    return not parsed.changed and parsed.outer == parsed.protected


def test_whatever_is_done_to_the_headers_every_decoder_shows_the_signed_ones_or_we_refuse(mail, shown):
    """Random changes, the same in each run. Most are refused; the others change nothing of what is shown."""
    chance = random.Random(20260302)
    head, body = mail[: body_start(mail)], mail[body_start(mail) :]
    tried = {mutated(chance, head) for _ in range(3000)}
    for name, text, after in (("Subject", SUBJECT, ""), ("From", NAME, f" <{ADDRESS}>")):
        tried |= {replaced(head, name, spelled(chance, text) + after) for _ in range(1500)}
    taken = [head, *sorted(changed for changed in tried if accepted(changed, body))]
    signed, *others = shown([block[:-2] for block in taken])
    assert 20 < len(taken) < len(tried) / 2
    assert len(signed["postal-mime"]) == len(PROTECTED_HEADERS)
    assert [(block, read) for block, read in zip(taken[1:], others, strict=True) if read != signed] == []
