"""The transparency log and its witnesses."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from service.settings.part import Part


class LogSettings(Part):
    """The transparency log."""

    origin: str = Field(
        default="greffier.example/log", description="Name of the log. It is fixed for the life of the log."
    )
    key_file: Path | None = Field(
        default=None, description="File of the log's Ed25519 keys. Without it, the keys that `greffier init` made."
    )
    key_overlap_days: float = Field(
        default=30, ge=0, le=3650, description="Time for which a replaced log key signs beside the new one."
    )
    head_file: Path | None = Field(
        default=None,
        description="File of the head that this process published last. Give each process its own file, outside the "
        "database. Without it, `log-head` in the data folder.",
    )
    batch_seconds: float = Field(
        default=0.2, ge=0.0, le=10.0, description="Time for which entries are collected before a checkpoint is signed."
    )
    timestamp_every_seconds: float = Field(
        default=3600,
        ge=0,
        description="Time between two timestamps of the head, while the log grows. 0: no timestamps.",
    )
    check_every_hours: float = Field(
        default=24, ge=0, description="Time between two checks of the whole log. 0: no checks."
    )
    public: bool = Field(
        default=False, description="The log is served to everybody. Its entries name no customer and no person."
    )


class WitnessSettings(Part):
    """The witnesses that cosign each head of the log."""

    cosigners: tuple[str, ...] = Field(
        default=(),
        description="The witnesses, each as `URL verifier-key`, or `URL verifier-key verifier-key` if the witness "
        "cosigns with Ed25519 and with ML-DSA-44. `greffier witness init` prints the keys.",
    )
    quorum: int | None = Field(
        default=None,
        ge=0,
        description="Number of witnesses that must have cosigned a checkpoint, by the trust policy that "
        "`greffier log export` writes. Without it, all of them.",
    )
    period_seconds: float = Field(
        default=1,
        ge=0,
        le=3600,
        description="Least time between two requests to a witness, however fast the log grows.",
    )
    ca_file: Path | None = Field(
        default=None,
        description="CA bundle for the witnesses' certificates. Without it, the CA certificates of the system.",
    )

    @model_validator(mode="after")
    def _verify_quorum(self) -> Self:
        if self.quorum is not None and self.quorum > len(self.cosigners):
            raise ValueError(f"quorum is {self.quorum}, and there are {len(self.cosigners)} cosigners")
        return self
