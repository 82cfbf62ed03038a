"""Numbers for records that a test does not name itself.

They begin where no test writes a number by hand, so no record gets a ticket or an address that a test uses. They all
have six digits, so records sort by their text as they were made.
"""

from collections.abc import Iterator
from itertools import count


def numbers() -> Iterator[int]:
    return count(500_001)
