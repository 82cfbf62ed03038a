"""What a process loads: a start must not wait for what only another command, a page, a PDF or a server needs."""

import os
import signal
import subprocess
import sys
import urllib.request

from support.sealed_sample import Office

#: Runs the command, and writes the names of what it loaded at its end.
RUN = """
import atexit, os, sys
from pathlib import Path
atexit.register(lambda: Path(os.environ["LOADED"]).write_text("\\n".join(sorted(sys.modules))))
from service.cli.main import main
main()
"""
#: Of the service and of the domain, the verification of one mail needs these and no others.
VERIFIES = [
    "notifications",
    "notifications.audit",
    "notifications.audit.checkpoint",
    "notifications.audit.entry",
    "notifications.audit.merkle",
    "notifications.audit.note",
    "notifications.audit.policy",
    "notifications.audit.proof",
    "notifications.canonical_json",
    "notifications.crypto",
    "notifications.crypto.cms",
    "notifications.crypto.der",
    "notifications.crypto.timestamps",
    "notifications.errors",
    "notifications.evidence",
    "notifications.evidence.verdict",
    "notifications.evidence.verification",
    "notifications.mail",
    "notifications.mail.header_text",
    "notifications.mail.parts",
    "notifications.mail.signed_copy",
    "notifications.mail.signed_mail",
    "notifications.mail_address",
    "service",
    "service.cli",
    "service.cli.lazy_commands",
    "service.cli.main",
    "service.cli.options",
    "service.cli.verify",
    "service.system",
    "service.system.input_files",
]
#: What serves the first answer of /healthz; everything else of the web waits for another request.
WEB = [
    "service.web",
    "service.web.api",
    "service.web.api.context",
    "service.web.console",
    "service.web.console.parts",
    "service.web.liveness",
    "service.web.request_metrics",
    "service.web.security_headers",
    "service.web.served_app",
]
#: Libraries of tests, of PDFs, of PostgreSQL, of migrations, of passkeys, of OpenID providers, of pages and sheets, of
#: the API and its description, of DNS, of dates in words, and of servers of mail; and what maps rows to objects.
NOT_TO_SERVE = {
    "pytest", "hypothesis", "schemathesis", "playwright", "pyhanko", "typst", "asn1crypto", "psycopg", "alembic",
    "mako", "webauthn", "joserfc", "jinja2", "xlsxwriter", "segno", "babel",
    "fastapi", "pydantic.v1", "email_validator", "opentelemetry", "dns", "aiosmtpd",
    "sqlalchemy.dialects.postgresql",
}  # fmt: skip


def started(folder, *arguments, **options):
    environment = {**os.environ, "LOADED": str(folder / "loaded")}
    return subprocess.Popen([sys.executable, "-c", RUN, *map(str, arguments)], env=environment, text=True, **options)


def loaded(folder):
    return (folder / "loaded").read_text().splitlines()


def ours(names):
    return [name for name in names if name.partition(".")[0] in {"service", "notifications"}]


def test_the_verification_of_a_mail_loads_only_what_verifies_it(tmp_path):
    office = Office(tmp_path)
    (tmp_path / "mail.eml").write_bytes(office.mail(office.seal()))
    process = started(tmp_path, "verify", tmp_path / "mail.eml", "--trust", office.files.trust, stdout=subprocess.PIPE)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert ours(loaded(tmp_path)) == VERIFIES


def test_a_service_that_answers_healthz_has_loaded_no_page_no_other_command_and_nothing_of_tests_and_pdfs(
    tmp_path, data_folder
):
    process = started(tmp_path, "serve", "--data", data_folder, "--port", 0, stderr=subprocess.PIPE)
    try:
        said = next(line for line in process.stderr if line.startswith("serving "))
        address = said.split()[1].removesuffix("/api/v1")
        with urllib.request.urlopen(f"{address}/healthz", timeout=60) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    finally:
        process.kill()
    names = loaded(tmp_path)
    assert {name for name in names if name in NOT_TO_SERVE} == set()
    # The holidays of a country are loaded when a day of it is asked for.
    assert [name for name in names if name.startswith("holidays.countries.")] == []
    assert [name for name in names if name == "service.web" or name.startswith("service.web.")] == WEB
    commands = {name for name in names if name.startswith("service.cli.")}
    assert commands == {f"service.cli.{name}" for name in ("lazy_commands", "main", "options", "serve")}
