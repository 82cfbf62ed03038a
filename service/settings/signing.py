"""Keys, certificates and the timestamp authority."""

from pathlib import Path

from pydantic import Field

from service.settings.part import Part, first_line


class SigningSettings(Part):
    """The keys that sign notices and protect secrets."""

    master_key_file: Path | None = Field(
        default=None,
        description="File of the master keys, one a line, the current one first. "
        "Without it, `master.key` in the data folder.",
    )
    key_file: Path | None = Field(
        default=None, description="PEM file of the S/MIME key. Without it, the key that `greffier init` made."
    )
    chain_file: Path | None = Field(
        default=None,
        description="PEM file of the S/MIME certificate, leaf first, then intermediates. "
        "One file can hold key and chain.",
    )
    key_passphrase_file: Path | None = Field(
        default=None,
        description="File whose first line opens the private keys. "
        "Without it, the passphrase is derived from the master key.",
    )

    def key_passphrase(self) -> bytes | None:
        """Return the operator's passphrase of the private keys, or None; raises InvalidInputError."""
        if self.key_passphrase_file is None:
            return None
        return first_line(self.key_passphrase_file, "signing.key_passphrase_file").encode()


#: How far a timestamp may be ahead of this machine's clock, where nothing else is set.
AHEAD_SECONDS = 300.0


class TimestampSettings(Part):
    """The RFC 3161 timestamp authority."""

    url: str | None = Field(
        default=None,
        description="Address of the authority, by https. "
        "Without it, this process makes the timestamps itself; they are labelled as not independent.",
    )
    ca_file: Path | None = Field(
        default=None, description="PEM file of the authority's root certificates. Needed with `url`."
    )
    independent: bool = Field(default=True, description="The authority is not under the provider's control.")
    timeout_seconds: float = Field(default=10, gt=0, description="Time for one answer of the authority.")
    one_each_up_to: int | None = Field(
        default=None,
        ge=0,
        description="Notices of a release to more customers than this share timestamps over checkpoints of the log; 0: "
        "all do. Without it, every notice has a timestamp of its own.",
    )
    shared_every_seconds: float = Field(
        default=1, ge=0, le=60, description="Least time between two requests for a timestamp that notices share."
    )
    ahead_seconds: float = Field(
        default=AHEAD_SECONDS,
        ge=0,
        description="How far a timestamp may be ahead of this machine's clock, beyond its own accuracy. "
        "One that is further ahead is not taken.",
    )
