"""The one fault that an input is refused for."""

import pytest

from notifications.errors import InvalidInputError


def fault_of(act, *arguments, **more):
    """Call what must refuse its input for one fault, and return that."""
    with pytest.raises(InvalidInputError) as caught:
        act(*arguments, **more)
    (fault,) = caught.value.faults
    return fault


def refused(act, *arguments, **more):
    """Return field and reason of the one fault, as one text."""
    fault = fault_of(act, *arguments, **more)
    return f"{fault.field}: {fault.reason}"
