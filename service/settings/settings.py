"""All settings of an installation, and the paths in its data folder that follow from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import PrivateAttr
from pydantic.fields import FieldInfo

from notifications.errors import Fault, InvalidInputError
from service.settings.access import AccessSettings, LimitSettings, MetricsSettings
from service.settings.alerts import AlertSettings, EscalationSettings
from service.settings.database import DatabaseSettings
from service.settings.duties import DutySettings
from service.settings.incoming_alerts import IncomingAlertSettings
from service.settings.log import LogSettings, WitnessSettings
from service.settings.mail import BounceSettings, ContactCheckSettings, MailSettings
from service.settings.oidc import OidcSettings
from service.settings.part import Part, read_text
from service.settings.provider import AgreementSettings, ProviderSettings, StatementSettings
from service.settings.reports import ReportSettings
from service.settings.signing import SigningSettings, TimestampSettings
from service.settings.webhooks import WebhookSettings

_LEAST_TOKEN_CHARACTERS = 24


@dataclass(frozen=True, slots=True)
class Source:
    """Where the value of a setting comes from."""

    #: ``default``, ``file``, ``environment``, or ``start`` for what the starting command states
    kind: str
    #: its name there: a key of the file, or a variable; empty otherwise
    name: str = ""


class Settings(Part):
    """Everything that an operator can set, by table. Units are in the names."""

    #: folder that holds database, keys and trust anchors; given on the command line
    data: Path

    provider: ProviderSettings = ProviderSettings()
    agreements: AgreementSettings = AgreementSettings()
    duties: DutySettings = DutySettings()
    statements: StatementSettings = StatementSettings()
    database: DatabaseSettings = DatabaseSettings()
    mail: MailSettings = MailSettings()
    webhooks: WebhookSettings = WebhookSettings()
    bounces: BounceSettings = BounceSettings()
    contact_checks: ContactCheckSettings = ContactCheckSettings()
    signing: SigningSettings = SigningSettings()
    timestamps: TimestampSettings = TimestampSettings()
    log: LogSettings = LogSettings()
    witnesses: WitnessSettings = WitnessSettings()
    alerts: AlertSettings = AlertSettings()
    escalation: EscalationSettings = EscalationSettings()
    incoming_alerts: IncomingAlertSettings = IncomingAlertSettings()
    access: AccessSettings = AccessSettings()
    oidc: OidcSettings = OidcSettings()
    limits: LimitSettings = LimitSettings()
    metrics: MetricsSettings = MetricsSettings()
    reports: ReportSettings = ReportSettings()

    #: advice for the log, one sentence for each old name in use
    _old_names: tuple[str, ...] = PrivateAttr(())

    #: by ``table.key``, for each setting that is stated somewhere
    _sources: Mapping[str, Source] = PrivateAttr(default_factory=dict)

    def source_of(self, name: str) -> Source:
        """Return where the value of ``table.key`` comes from."""
        return self._sources.get(name, Source("default"))

    @property
    def old_names(self) -> tuple[str, ...]:
        """One sentence for each old name that is in use; no values."""
        return self._old_names

    @property
    def keys_dir(self) -> Path:
        """Folder of the keys made by ``greffier init``."""
        return self.data / "keys"

    @property
    def trust_dir(self) -> Path:
        """Folder of the trust anchors, which a verifier needs."""
        return self.data / "trust"

    @property
    def master_file(self) -> Path:
        """The file of the master keys."""
        return self.signing.master_key_file or self.data / "master.key"

    @property
    def head_file(self) -> Path:
        """The head of the log that this process published last."""
        return self.log.head_file or self.data / "log-head"

    @property
    def database_file(self) -> Path:
        """The embedded database."""
        return self.data / "greffier.sqlite3"

    def store_location(self) -> Path | str:
        """Return where the store is: the embedded file, or the address of a PostgreSQL database with its password."""
        return self.database.address() or self.database_file

    @property
    def token_file(self) -> Path:
        """The token of the first account. Only the owner can read the file."""
        return self.data / "api-token"

    def token(self) -> str:
        """Return the token of the first account; raises InvalidInputError if it is missing or too short."""
        given = self.access.api_token
        token = read_text(self.token_file, "api-token").strip() if given is None else given.get_secret_value()
        if len(token) < _LEAST_TOKEN_CHARACTERS:
            reason = f"must have at least {_LEAST_TOKEN_CHARACTERS} characters: below this a token can be guessed"
            raise InvalidInputError(Fault("access.api_token", reason))
        return token


#: The settings classes by the names of their tables.
PARTS: Mapping[str, type[Part]] = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Part)
}
#: Every setting that a file or the environment can set: ``table.key``, and its field.
FIELDS: Mapping[str, FieldInfo] = {
    f"{table}.{key}": field for table, part in PARTS.items() for key, field in part.model_fields.items()
}


def is_secret(field: FieldInfo) -> bool:
    """Return whether the value of a setting is never shown."""
    return "SecretStr" in str(field.annotation)
