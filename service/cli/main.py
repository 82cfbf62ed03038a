"""The command ``greffier``. Each command loads only what it needs: ``verify`` starts without the service."""

import atexit
import gc
import sys

import click
from tzdata import IANA_VERSION

from notifications.errors import GreffierError
from service.cli.lazy_commands import LazyCommands

_COMMANDS = LazyCommands(
    {
        "audit": "service.cli.audit:audit_command",
        "backup": "service.cli.database:backup_command",
        "bundle": "service.cli.bundle:bundle_command",
        "check-contacts": "service.cli.check_contacts:check_command",
        "copy": "service.cli.database:copy_command",
        "demo": "service.cli.demo.command:demo_command",
        "erasures": "service.cli.erasures:erasures_command",
        "export": "service.cli.customers:export_command",
        "fsck": "service.cli.fsck:fsck_command",
        "import": "service.cli.customers:import_command",
        "init": "service.cli.init:init_command",
        "keys": "service.cli.keys:keys_command",
        "log": "service.cli.log:log_command",
        "migrate": "service.cli.migrate:migrate_command",
        "report": "service.cli.report:report_command",
        "serve": "service.cli.serve:serve_command",
        "succeed-log": "service.cli.recover_log:succeed_log_command",
        "verify": "service.cli.verify:verify_command",
        "witness": "service.cli.witness:witness_command",
        "worker": "service.cli.worker:worker_command",
    }
)


@click.group(commands=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(
    package_name="greffier",
    prog_name="greffier",
    message=f"%(prog)s, version %(version)s, time zones {IANA_VERSION}",
)
def cli() -> None:
    """Security-incident notices: declared, decided by the agreement, signed, sent, proven."""


def main() -> None:
    """Run the command; a wrong input is one line on standard error and exit code 2."""
    # Without this, the interpreter scans every object again before it ends, which takes half a second.
    atexit.register(gc.freeze)
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Exit as error:
        code = error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = 2
    except click.ClickException as error:
        click.echo(f"greffier: {error.format_message()}", err=True)
        code = 2
    except (click.Abort, KeyboardInterrupt):
        code = 130
    except (GreffierError, OSError) as error:
        text = str(error)
        if isinstance(error, OSError) and error.filename is not None and error.strerror:
            text = f"{error.filename}: {error.strerror}"
        # A TimeoutError has no text.
        click.echo(f"greffier: {' '.join(text.split()) or type(error).__name__}", err=True)
        code = 2
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
