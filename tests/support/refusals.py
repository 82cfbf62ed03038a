"""Helpers for tests of refused inputs."""

import pytest

from notifications.errors import InvalidInputError


def fault_of(act, *arguments, **more):
    """Call a function that must refuse its input with exactly one fault, and return the fault."""
    with pytest.raises(InvalidInputError) as caught:
        act(*arguments, **more)
    (fault,) = caught.value.faults
    return fault


def refused(act, *arguments, **more):
    """Return field and reason of the one fault, as one text."""
    fault = fault_of(act, *arguments, **more)
    return f"{fault.field}: {fault.reason}"
