"""``greffier verify``: verify a saved mail step by step, and print each step."""

import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from notifications.audit.note import VerifierKey, parse_verifier_key
from notifications.audit.policy import Policy, parse_policy
from notifications.errors import Fault, InvalidInputError
from notifications.evidence.verdict import Judgement, Verdict, judge, judge_notice_mail
from notifications.evidence.verification import (
    FILE_STEPS,
    MAIL_STEPS,
    Trust,
    VerifiedStep,
    parse_trust,
    verify_notice_files,
)
from service.cli.options import FOLDER, printable
from service.system.input_files import read_file

#: Exit code 2 is for a wrong input, as in every command.
_EXIT_CODES = {Verdict.GENUINE: 0, Verdict.NOT_GENUINE: 1, Verdict.CHANGED_OUTSIDE: 3, Verdict.UNREADABLE: 4}
_GENUINE = {
    "mail": "signed by the provider, timestamped as shown, and held by its audit log",
    "bundle": "every part is what the provider's audit log commits to",
    "report": "signed by the provider and timestamped as shown; greffier report compares the SHA-256 with the log",
    "PDF": "signed by the provider, timestamped as shown, and the notice in it is held by its audit log",
}
#: The notice in a PDF is genuine, and nothing around it was checked.
_PDF_NOT_CHECKED = 5
#: The name of the embedded document of a report, as it is in the PDF.
_REPORT_INSIDE = b"(report.json)"


def load_trust(folder: Path) -> Trust:
    """Return the trust anchors of a folder: ``ca.pem``, ``tsa.pem``, ``log.vkey``; raises InvalidInputError."""
    authority, timestamps, log = (read_file(folder / name) for name in ("ca.pem", "tsa.pem", "log.vkey"))
    return parse_trust(authority, timestamps, log.decode("utf-8", "replace"))


def load_witnesses(folder: Path) -> list[VerifierKey]:
    """Return the keys in ``witnesses.vkey``, one per line, if the folder has the file; raises InvalidInputError."""
    path = folder / "witnesses.vkey"
    if not path.exists():
        return []
    lines = read_file(path).decode("utf-8", "replace").splitlines()
    return [parse_verifier_key(line) for line in lines if line.strip()]


def load_policy(path: Path | None) -> Policy | None:
    """Return the trust policy of a file (c2sp.org/tlog-policy), None for no file; raises InvalidInputError."""
    return None if path is None else parse_policy(read_file(path))


def print_verification(mail: bytes, trust: Trust, console: Console) -> bool:
    """Print the steps of the verification of a saved mail, and the verdict; return whether it is *genuine*."""
    return _print(judge_notice_mail(mail, trust), MAIL_STEPS, "mail", console) is Verdict.GENUINE


def _print(judgement: Judgement, steps: Sequence[str], what: str, console: Console) -> Verdict:
    """Print the passed steps, the failed one, and the verdict. Steps after the first failure do not run."""
    number = _print_steps(judgement, steps, console)
    reasons, exercise = "; ".join(judgement.reasons), " EXERCISE" if _is_exercise(judgement) else ""
    step = judgement.failed_step
    match judgement.verdict:
        case Verdict.GENUINE:
            _verdict(console, f"GENUINE{exercise}: {_GENUINE[what]}", "bold green")
        case Verdict.CHANGED_OUTSIDE:
            finding = "the signed content is genuine, but the copy was changed outside it; do not believe these parts"
            _verdict(console, f"CHANGED OUTSIDE{exercise}: {finding}: {reasons}", "bold yellow")
        case Verdict.UNREADABLE:
            _verdict(console, f"NOT READABLE AS SAVED: the {what} {reasons}; do not trust it before", "bold yellow")
        case Verdict.NOT_GENUINE:
            _verdict(console, f"NOT GENUINE: step {number}, {step}, failed; do not trust this {what}", "bold red")
    return judgement.verdict


def _is_exercise(judgement: Judgement) -> bool:
    return any(passed.exercise for passed in judgement.steps)


def _print_steps(judgement: Judgement, steps: Sequence[str], console: Console) -> int:
    """Print the passed steps and the failed one, and return the number of the failed one."""
    for passed in judgement.steps:
        changed = f"; outside the signed part: {'; '.join(passed.changed)}" if passed.changed else ""
        _line(console, passed.number, _state(passed), passed.step, passed.finding + changed)
    step, reasons = judgement.failed_step, "; ".join(judgement.reasons)
    number = len(judgement.steps) + 1 if step not in steps else steps.index(step) + 1
    unreadable = judgement.verdict is Verdict.UNREADABLE
    if step is not None:
        _line(console, number, ("unread", "yellow") if unreadable else ("FAILED", "bold red"), step, reasons)
    if _is_exercise(judgement):
        console.print(Text("EXERCISE: what this notice describes did not happen", "bold yellow"), soft_wrap=True)
    return number


def _state(passed: VerifiedStep) -> tuple[str, str]:
    if passed.changed:
        return "changed", "yellow"
    if passed.pending:
        return "follows", "yellow"
    return ("partly", "yellow") if passed.partial else ("ok", "green")


def _verdict(console: Console, verdict: str, style: str) -> None:
    # In one line even on a narrow terminal, because scripts read it.
    console.print(Text(verdict, style), soft_wrap=True)


def _line(console: Console, number: int, state: tuple[str, str], step: str, finding: str) -> None:
    # All text from the mail is printed as plain text, without markup and control characters.
    text = Text.assemble(f"{number}. ", (f"{state[0]:8}", state[1]), f"{step}: {printable(finding)}")
    console.print(text, soft_wrap=True)


@click.command("verify")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--trust",
    "trust_dir",
    required=True,
    type=FOLDER,
    help="Folder with ca.pem, tsa.pem and log.vkey, obtained from the provider by another way than the file.",
)
@click.option(
    "--policy",
    "policy_file",
    type=click.Path(path_type=Path),
    help="Trust policy (c2sp.org/tlog-policy) that the checkpoint of a bundle must meet.",
)
def verify_command(file: Path, trust_dir: Path, policy_file: Path | None) -> None:
    """Verify a saved notice mail, a notice.pdf, the PDF of a report or an evidence bundle, offline.

    Each step says what is true of it. The verdict is the last line and the exit code:

    \b
    0  genuine
    1  not genuine: a step failed, and the line before names it
    2  no verdict: wrong arguments, no file, or no trust folder
    3  the signed content is genuine, but the copy was changed outside it;
       the verdict names what not to believe
    4  not readable as saved; the verdict says what to save instead
    5  the PDF was not checked: that needs the optional extra pdf; a notice
       in it is genuine
    """  # noqa: D301 - click keeps the lines of a list as they are after this character
    trust, policy, archive = load_trust(trust_dir), load_policy(policy_file), _is_archive(file)
    if policy is not None and not archive:
        raise InvalidInputError(
            Fault("policy", "is for bundles: a notice is sent before witnesses cosign its checkpoint")
        )
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A character that the terminal or pipe cannot encode must not end the command before its verdict.
        sys.stdout.reconfigure(errors="replace")
    console = Console(highlight=False)
    if _is_pdf(file):
        verdict = _verify_pdf(read_file(file), trust, console)
    elif archive:
        verdict = _verify_bundle(file, trust, console, load_witnesses(trust_dir), policy)
    else:
        verdict = _print(judge_notice_mail(read_file(file), trust), MAIL_STEPS, "mail", console)
    if code := _EXIT_CODES[verdict]:
        raise click.exceptions.Exit(code)


def _is_pdf(path: Path) -> bool:
    """Whether to read a file as a PDF: no mail begins or is named like one."""
    try:
        with path.open("rb") as file:
            return path.suffix.lower() == ".pdf" or file.read(5) == b"%PDF-"
    except OSError as error:
        raise InvalidInputError(Fault(str(path), f"cannot be read: {error.strerror}")) from None


def _verify_pdf(content: bytes, trust: Trust, console: Console) -> Verdict:
    # Imported here, because the check of a mail needs none of it.
    from service.notice_pdf.embedded import STRUCTURE  # noqa: PLC0415 - only bundles and PDFs need it
    from service.notice_pdf.installation import ADVICE, is_installed  # noqa: PLC0415 - only bundles and PDFs need it

    if is_installed():
        from service.notice_pdf.verification import PDF_STEPS, REPORT, REPORT_STEPS, verify_pdf  # noqa: PLC0415 - needs the extra

        judgement = judge(verify_pdf(content, trust))
        if any(step.step == REPORT for step in judgement.steps):
            return _print(judgement, REPORT_STEPS, REPORT, console)
        return _print(judgement, PDF_STEPS, "PDF", console)
    if _REPORT_INSIDE in content:
        _verdict(console, f"NOT CHECKED: it is a report, and {ADVICE}", "bold yellow")
        raise click.exceptions.Exit(_PDF_NOT_CHECKED)
    judgement = judge(_steps_of_embedded(content, trust))
    if judgement.verdict is not Verdict.GENUINE:
        return _print(judgement, (STRUCTURE, *FILE_STEPS), "PDF", console)
    _print_steps(judgement, (STRUCTURE, *FILE_STEPS), console)
    finding = f"its signature and its pages were not checked, because {ADVICE}"
    _verdict(console, f"NOTICE GENUINE, PDF NOT CHECKED: {finding}", "bold yellow")
    raise click.exceptions.Exit(_PDF_NOT_CHECKED)


def _steps_of_embedded(content: bytes, trust: Trust) -> Iterator[VerifiedStep]:
    from service.notice_pdf.embedded import STRUCTURE, embedded_notice  # noqa: PLC0415 - as above

    files = embedded_notice(content)
    yield VerifiedStep(1, STRUCTURE, "a notice is inside; the signature of the PDF was not read", partial=True)
    for step in verify_notice_files(files, trust):
        yield replace(step, number=step.number + 1)


def _is_archive(path: Path) -> bool:
    """Whether to read a file as a bundle: no mail begins or is named like one."""
    try:
        with path.open("rb") as file:
            return path.suffix == ".zip" or file.read(2) == b"PK"
    except OSError as error:
        raise InvalidInputError(Fault(str(path), f"cannot be read: {error.strerror}")) from None


def _verify_bundle(
    path: Path, trust: Trust, console: Console, witnesses: Sequence[VerifierKey], policy: Policy | None
) -> Verdict:
    # Imported here, because a mail has no report, for which the contract's words are read.
    from notifications.evidence.bundle.verification import BUNDLE_STEPS, verify_bundle  # noqa: PLC0415 - only bundles and PDFs need it

    with path.open("rb") as file:
        return _print(judge(verify_bundle(file, trust, witnesses, policy=policy)), BUNDLE_STEPS, "bundle", console)
