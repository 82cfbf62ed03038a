"""Rate limits, sessions, and the limits of a process."""

from pydantic import Field, IPvAnyNetwork, SecretStr

from service.settings.part import Part, PortNumber


class AccessSettings(Part):
    """Credentials, sessions and request rates."""

    api_token: SecretStr | None = Field(
        default=None,
        description="Token of the first account, used while there is no account. "
        "Without it, the token in the file `api-token` of the data folder.",
    )
    session_idle_seconds: float = Field(
        default=30 * 60, gt=0, description="A session that is unused for this time ends."
    )
    requests_per_second: float = Field(default=100, gt=0, description="Rate of requests of one account or token.")
    requests_burst: int = Field(
        default=1000, ge=1, description="Requests of one account or token at once, above the rate."
    )
    stranger_requests_per_second: float = Field(
        default=5, gt=0, description="Rate of requests without a valid credential from one network address."
    )
    stranger_requests_burst: int = Field(
        default=300,
        ge=1,
        description="Requests without a valid credential from one network address at once, above the rate.",
    )
    trusted_proxies: tuple[IPvAnyNetwork, ...] = Field(
        default=(),
        description="Addresses or networks of the reverse proxies before the service (`10.0.0.5`, `10.1.0.0/24`). "
        "`X-Forwarded-For` is believed only from them: the right-most address that is not one of them is the client. "
        "Without it, all clients behind a proxy share one address and one rate.",
    )


class LimitSettings(Part):
    """Limits of one process."""

    max_body_bytes: int = Field(default=2_000_000, ge=1_000, le=100_000_000, description="Largest body of a request.")
    max_buffered_bytes: int = Field(
        default=64_000_000,
        ge=1_000,
        description="Bodies of all requests that are held in memory at once. At least the largest body of a request. "
        "A request beyond it is answered with 503.",
    )
    max_import_bytes: int = Field(
        default=300_000_000,
        ge=1_000,
        description="Largest file of resources that is imported; it is read as it comes, through a temporary file.",
    )
    max_connections: int = Field(
        default=1000,
        ge=1,
        description="Open connections of the server. Further ones are refused. "
        "There are fewer where the process may open fewer files.",
    )
    header_seconds: float = Field(
        default=10, gt=0, le=600, description="Time for the whole header of a request, then the connection is closed."
    )
    body_seconds: float = Field(
        default=60, gt=0, le=3600, description="Time for the whole body of a request, then the connection is closed."
    )
    stop_seconds: float = Field(
        default=20,
        gt=0,
        le=600,
        description="Time for work in flight once the service stops. "
        "Work that is not done by then is handed back and done again.",
    )
    lease_seconds: float = Field(
        default=300,
        gt=0,
        description="Time for which a delivery belongs to the process that took it. "
        "After it, another process takes over from one that died.",
    )
    signing_process: bool = Field(
        default=True,
        description="Sign large releases in a process of its own, while it is needed, with about 100 MiB of memory. "
        "Without it, they take longer and requests wait longer meanwhile. On PostgreSQL there is none.",
    )


class MetricsSettings(Part):
    """The listener for metrics without a token. `GET /metrics` with a token is always there."""

    port: PortNumber | None = Field(default=None, description="Port of the listener. Without it, there is no listener.")
    host: str = Field(
        default="127.0.0.1", description="Loopback, or an address or name of this machine in a private network."
    )
