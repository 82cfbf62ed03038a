"""Settings: environment variables ``GREFFIER_*``, else ``greffier.toml`` in the data folder, else the defaults here."""

import os
import tomllib
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import UUID

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from notifications.errors import Fault, InvalidInputError

#: Name of the settings file in a data folder.
SETTINGS_FILE = "greffier.toml"


class Settings(BaseSettings):
    """Everything that an operator can set. Units are in the names."""

    model_config = SettingsConfigDict(env_prefix="GREFFIER_", extra="forbid", frozen=True)

    #: folder that holds database, keys and trust anchors
    data: Path

    # -- the database
    #: ``postgresql://role@host/name`` of the database that several processes share; None for the embedded one
    database_url: str | None = None
    #: file whose first line is the role's password, where the address does not hold it
    database_password_file: Path | None = None
    #: the role that everything but ``greffier migrate`` connects as; migrating grants it what it needs and no more
    database_role: str | None = None
    #: on PostgreSQL, how long a statement may take, and wait for what another process holds
    database_statement_seconds: float = Field(30, gt=0, le=600)
    database_lock_seconds: float = Field(20, gt=0, le=600)

    # -- the provider, as every notice names it
    provider_name: str = "Cloud provider"
    contact_name: str = "SOC"
    contact_email: str = "soc@provider.example"
    contact_phone: str | None = None
    #: where customers read their notices; None while there is no console
    console_url: str | None = None
    #: language given to free text that came without one
    default_language: Literal["fr", "en", "de"] = "fr"

    #: how long before its deadline everybody who is left is written to, where nothing was taken yet
    fallback_lead_seconds: int = Field(30 * 60, gt=0)
    #: how long before its deadline somebody is to call a customer that is not told
    call_lead_seconds: int = Field(15 * 60, gt=0)
    #: how long a delivery that has not failed is awaited before another way is taken
    escalation_grace_seconds: int = Field(5 * 60, gt=0)
    #: how long somebody has for a call where the deadline leaves them less
    call_within_seconds: int = Field(15 * 60, gt=0)
    #: how long before its deadline an unreleased notice is alerted a last time
    alert_lead_seconds: float = Field(15 * 60, gt=0)
    #: how long a draft is left to its author before it is alerted at all
    alert_grace_seconds: float = Field(2 * 60, ge=0)

    #: how long a delivery may be due without an attempt before that is alerted
    alert_queue_age_seconds: float = Field(10 * 60, gt=0)
    #: how long an entry may wait for a signed checkpoint before that is alerted
    alert_log_lag_seconds: float = Field(60, gt=0)
    #: the disk of the data folder counts as nearly full below this
    disk_least_bytes: int = Field(256 * 2**20, ge=0)

    # -- checks before an incident
    #: how often each confirmed contact is checked; 0 for never
    check_contacts_every_days: float = Field(7, ge=0)
    #: whether domains of addresses are looked up; without, the relay alone is asked
    check_contacts_dns: bool = False

    # -- agreements
    #: the agreement by which the provider itself reads an incident
    reference_agreement: str = "secnumcloud_iaas_3_0"
    #: folder of further agreement files; None for the bundled ones alone
    agreements_dir: Path | None = None
    #: the provider's own targets by priority; empty means the agreement's GTI
    internal_targets_seconds: dict[str, int] = Field(default_factory=dict)
    #: every notice must be released by somebody else than whoever wrote it last
    four_eyes: bool = False

    # -- access
    #: the token of the first account, taken while there is no account yet; None reads ``api-token`` in the data folder
    api_token: SecretStr | None = None
    #: a session that is not used for so long is over
    session_idle_seconds: float = Field(30 * 60, gt=0)
    #: requests of one account or token, and how many at once
    requests_per_second: float = Field(100, gt=0)
    requests_burst: int = Field(1000, ge=1)
    #: requests of one network address that no valid credential comes with
    stranger_requests_per_second: float = Field(5, gt=0)
    stranger_requests_burst: int = Field(300, ge=1)
    max_body_bytes: int = Field(2_000_000, ge=1_000, le=100_000_000)

    # -- signing in by an OpenID provider; without an issuer people sign in here alone
    #: exactly as the provider names itself in its discovery document
    oidc_issuer: str | None = None
    oidc_client_id: str = ""
    #: neither for a public client, which has PKCE alone
    oidc_client_secret: SecretStr | None = None
    oidc_client_secret_file: Path | None = None
    oidc_scopes: str = "openid email profile"
    #: dotted path of the claim with roles or groups, such as ``realm_access.roles``
    oidc_role_claim: str | None = None
    #: value of that claim to a role; ``customer_auditor`` audits the customers of the customer claim
    oidc_roles: dict[str, str] = Field(default_factory=dict)
    #: dotted path of the claim that says for which customers somebody acts
    oidc_customer_claim: str | None = None
    #: value of that claim to a customer's id; empty where the values are the ids
    oidc_customers: dict[str, UUID] = Field(default_factory=dict)
    #: whether somebody whom nobody registered gets an account, if the claims give a role
    oidc_create_accounts: bool = False
    #: the provider states no ``email_verified``, and lets nobody state an address that is not theirs
    oidc_trust_email: bool = False
    oidc_clock_skew_seconds: float = Field(30, ge=0, le=60)
    #: one of these must be the ``acr`` of a sign-in; empty for whatever the provider asks
    oidc_require_acr: tuple[str, ...] = ()
    #: one of these must be among its ``amr``
    oidc_require_amr: tuple[str, ...] = ()
    #: CA bundle for the provider's certificate; None for the system's
    oidc_ca_file: Path | None = None
    oidc_timeout_seconds: float = Field(10, gt=0, le=60)

    # -- mail
    #: must be the address that the signing certificate names; None takes that address
    mail_from: str | None = None
    mail_from_name: str | None = None
    #: None holds every mail back, visibly
    smtp_host: str | None = None
    smtp_port: int = Field(587, ge=1, le=65_535)
    #: ``none`` is taken for a loopback relay alone
    smtp_tls: Literal["starttls", "implicit", "none"] = "starttls"
    smtp_username: str | None = None
    #: neither for a relay that asks for none
    smtp_password: SecretStr | None = None
    smtp_password_file: Path | None = None
    #: CA bundle for the relay's certificate; None for the system's
    smtp_ca_file: Path | None = None
    smtp_connections: int = Field(8, ge=1, le=256)
    smtp_send_timeout_seconds: float = Field(60, gt=0)

    # -- what comes back of mails; without a domain it goes to ``mail_from``
    #: domain of the return paths, of which all mail is handed to the listener
    bounce_domain: str | None = None
    #: port of the listener in a process that serves; None where another process has it
    bounce_listen_port: int | None = Field(None, ge=0, le=65_535)
    bounce_listen_host: str = "127.0.0.1"
    bounce_listen_protocol: Literal["lmtp", "smtp"] = "lmtp"
    bounce_max_bytes: int = Field(5_000_000, ge=10_000, le=100_000_000)

    # -- running
    #: how long what is in flight may take once the service is told to stop; the rest is handed back, to be done again
    stop_seconds: float = Field(20, gt=0, le=600)
    #: how long a delivery belongs to the process that took it; one that dies is replaced after that
    lease_seconds: float = Field(300, gt=0)

    #: mails under way at once to recipients of one domain; None for as many as there are connections
    mails_at_once_per_domain: int | None = Field(None, ge=1)
    #: mails begun in a minute to recipients of one domain, by each process; None for as many as go
    mails_per_minute_per_domain: int | None = Field(None, ge=1)

    # -- webhooks
    #: posts under way at once to one host
    webhooks_at_once_per_host: int = Field(4, ge=1)
    #: posts begun in a minute to one host, by each process; None for as many as go
    webhooks_per_minute_per_host: int | None = Field(None, ge=1)
    #: CA bundle for the certificates of customers' systems; None for the system's
    webhook_ca_file: Path | None = None
    #: whether receivers may stand at private, loopback and link-local addresses
    webhook_allow_private: bool = False
    #: for one post, whatever the other side does
    webhook_timeout_seconds: float = Field(30, gt=0, le=120)
    #: an endpoint that took nothing for so long is put out of use
    webhook_failing_days: float = Field(5, gt=0, le=365)

    # -- sealing
    #: file of the master keys, one a line, the current one first; None takes ``master.key`` in the data folder
    master_key_file: Path | None = None
    #: PEM files of a real CA, or one that holds key and chain; None takes what ``greffier init`` made
    signing_key_file: Path | None = None
    signing_chain_file: Path | None = None
    #: file whose first line opens the private keys; None for the passphrase that the master key gives
    key_passphrase_file: Path | None = None
    log_key_file: Path | None = None
    #: how long a log key that was replaced goes on signing beside the new one
    log_key_overlap_days: float = Field(30, ge=0, le=3650)
    log_origin: str = "greffier.example/log"
    #: URL of an RFC 3161 authority; None takes the one in this process, which is not independent
    timestamp_url: str | None = None
    timestamp_ca_file: Path | None = None
    timestamp_independent: bool = True
    timestamp_timeout_seconds: float = Field(10, gt=0)

    # -- metrics
    #: port of a listener for metrics alone, without a token; None for ``GET /metrics`` with a token alone
    metrics_port: int | None = Field(None, ge=0, le=65_535)
    #: loopback, or an address or name of this machine in a private network
    metrics_host: str = "127.0.0.1"

    # -- log
    #: how long the sequencer gathers entries before it signs a checkpoint
    sequencer_period_seconds: float = Field(0.2, ge=0.0, le=10.0)
    #: where the published head is kept, outside the database; None takes ``log-head`` in the data folder
    log_head_file: Path | None = None
    #: how long after a timestamp over a head the next one is asked for, once there is a newer head; 0 for none at all
    log_timestamp_every_seconds: float = Field(3600, ge=0)
    #: how long after a check of the whole log the next one is begun; 0 for none at all
    log_check_every_hours: float = Field(24, ge=0)
    #: the log is served to everybody; what stands in it names nobody
    log_public: bool = False
    #: who cosigns each head, each as ``URL verifier-key``
    witnesses: tuple[str, ...] = ()
    #: for one question; at a start all are asked at once, and no head is signed before they answered or this is over
    witness_timeout_seconds: float = Field(5, gt=0, le=60)
    #: a witness is asked so often at most, however fast the log grows
    witness_period_seconds: float = Field(1, ge=0, le=3600)
    #: CA bundle for the certificates of witnesses; None for the system's
    witness_ca_file: Path | None = None

    @property
    def keys_dir(self) -> Path:
        """Folder of the keys made by ``greffier init``."""
        return self.data / "keys"

    @property
    def trust_dir(self) -> Path:
        """Folder of what a verifier needs."""
        return self.data / "trust"

    @property
    def master_file(self) -> Path:
        """The file of the master keys."""
        return self.master_key_file or self.data / "master.key"

    @property
    def head_file(self) -> Path:
        """The head of the log that this process published last."""
        return self.log_head_file or self.data / "log-head"

    @property
    def database_file(self) -> Path:
        """The embedded database."""
        return self.data / "greffier.sqlite3"

    def store_location(self) -> Path | str:
        """Return where the store is: the embedded file, or the address of a PostgreSQL database with its password."""
        if self.database_url is None:
            return self.database_file
        if not self.database_url.startswith(("postgresql://", "postgres://")):
            raise InvalidInputError(Fault("database_url", "must begin with postgresql://"))
        if self.database_password_file is None:
            return self.database_url
        lines = _read(self.database_password_file, "database_password_file").splitlines()
        if not lines or not lines[0]:
            raise InvalidInputError(Fault("database_password_file", "its first line is empty"))
        parts = urlsplit(self.database_url)
        user, _, host = parts.netloc.rpartition("@")
        if not user or ":" in user:
            raise InvalidInputError(Fault("database_url", "must name a role without a password, for that is in a file"))
        return urlunsplit(parts._replace(netloc=f"{user}:{quote(lines[0], safe='')}@{host}"))

    @property
    def token_file(self) -> Path:
        """The token of the first account, readable by the owner alone."""
        return self.data / "api-token"

    def key_passphrase(self) -> bytes | None:
        """Return the operator's passphrase of the private keys, or None."""
        if self.key_passphrase_file is None:
            return None
        lines = _read(self.key_passphrase_file, "key_passphrase_file").splitlines()
        if not lines or not lines[0]:
            raise InvalidInputError(Fault("key_passphrase_file", "its first line is empty"))
        return lines[0].encode()

    def smtp_secret(self) -> str | None:
        """Return the password at the mail relay, or None."""
        if self.smtp_password is not None:
            return self.smtp_password.get_secret_value() or None
        if self.smtp_password_file is None:
            return None
        return _read(self.smtp_password_file, "smtp_password_file").strip() or None

    def oidc_secret(self) -> str | None:
        """Return the client's secret at the OpenID provider, or None for a public client."""
        if self.oidc_client_secret is not None:
            return self.oidc_client_secret.get_secret_value()
        if self.oidc_client_secret_file is None:
            return None
        return _read(self.oidc_client_secret_file, "oidc_client_secret_file").strip() or None

    def token(self) -> str:
        """Return the token of the first account; raises InvalidInputError where there is none or it is too short."""
        token = (
            self.api_token.get_secret_value()
            if self.api_token is not None
            else _read(self.token_file, "api_token").strip()
        )
        if len(token) < 24:  # noqa: PLR2004 - below this a token can be guessed
            raise InvalidInputError(Fault("api_token", "must have at least 24 characters"))
        return token


def _read(path: Path, field: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(Fault(field, f"cannot read {path}: {error}")) from None


def load_settings(data: Path, **overrides: Any) -> Settings:
    """Return the settings of a data folder; raises InvalidInputError naming each setting that is wrong.

    Overrides (from the command line or a test) win over the environment, the environment over the file.
    """
    file = data / SETTINGS_FILE
    values: dict[str, Any] = {}
    if file.exists():
        try:
            values = tomllib.loads(_read(file, SETTINGS_FILE))
        except tomllib.TOMLDecodeError as error:
            raise InvalidInputError(Fault(SETTINGS_FILE, str(error))) from None
    in_environment = {
        name.lower().removeprefix("greffier_") for name in os.environ if name.upper().startswith("GREFFIER_")
    }
    given = {name: value for name, value in values.items() if name not in in_environment}
    try:
        return Settings(**(given | overrides | {"data": data}))
    except ValidationError as error:
        raise InvalidInputError(
            *(Fault(".".join(str(part) for part in item["loc"]), item["msg"]) for item in error.errors())
        ) from None
