"""Mail: assembled, signed, encrypted; and bounces, parsed.

Imports ``notice`` and below. Bytes in, bytes out: sending is in ``service.channels``.
"""
