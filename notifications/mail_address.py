"""Mail addresses in their normal form: a domain has many spellings, and one of them goes on the wire.

The normal form has the domain in A-labels (RFC 5890, 2.3.2.1), such as ``rssi@xn--hpital-ixa.example``, where the local
part is ASCII: any relay takes it, in the envelope and in the headers. An address whose local part is not ASCII needs
SMTPUTF8 (RFC 6531) whatever its domain looks like. IDNA 2008, because the older mapping sends ``ß`` to another domain.
"""

import unicodedata
from functools import lru_cache

import idna


def a_label_address(address: str) -> str:
    """Return an address as it goes out: the domain in A-labels where the local part is ASCII, else unchanged.

    Raises ValueError where the domain has no A-labels. Whether the rest is an addr-spec is not checked.
    """
    local_part, _, domain = address.rpartition("@")
    if not local_part.isascii() or domain.isascii():
        return address
    try:
        return f"{local_part}@{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError as error:
        raise ValueError(f"its domain is not valid: {error}") from None


@lru_cache(maxsize=1024)
def normal_address(address: str) -> str:
    """Return the form by which addresses are compared: two spellings of one mailbox give the same text.

    The domain in A-labels, everything without regard to case, the local part in Unicode's composed form. A domain that
    is no valid one is compared as it is written. Never shown to people, and never written to.
    """
    local_part, at, domain = address.rpartition("@")
    try:
        domain = idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        domain = unicodedata.normalize("NFC", domain)
    # Not casefold(): that makes another mailbox of "groß".
    return unicodedata.normalize("NFC", f"{local_part}{at}").lower() + domain.casefold()
