"""Mail addresses in the form that is sent. The same domain can be written in several forms.

If the local part is ASCII, the domain is sent in A-labels (RFC 5890, 2.3.2.1), such as ``rssi@xn--hpital-ixa.example``.
Every relay accepts this form, in the envelope and in the headers. An address whose local part is not ASCII needs
SMTPUTF8 (RFC 6531) in any case. IDNA 2008 is used, because the older IDNA 2003 maps ``ß`` to another domain.
"""

import unicodedata
from functools import lru_cache

import idna


def a_label_address(address: str) -> str:
    """Return an address as it is sent: with the domain in A-labels if the local part is ASCII, else unchanged.

    Raises ValueError if the domain has no A-labels. Not checked: whether the rest is a valid addr-spec.
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
    """Return the form in which addresses are compared: two spellings of one mailbox give the same text.

    The domain is in A-labels, the local part in Unicode's composed form (NFC), and all letters are lower case. An
    invalid domain is compared in NFC. This form is never displayed, and no mail is sent to it.
    """
    local_part, at, domain = address.rpartition("@")
    # An ASCII domain is its own A-label, or is not valid; either way only its letters are made lower case.
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode()
        except idna.IDNAError:
            domain = unicodedata.normalize("NFC", domain)
    # Not casefold(): it would turn "groß" into another mailbox, "gross".
    return unicodedata.normalize("NFC", f"{local_part}{at}").lower() + domain.casefold()
