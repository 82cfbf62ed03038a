"""Mail: assemble, sign, encrypt and read mails, and parse bounces.

Imports ``notice`` and below. Its input and output are bytes; ``service.channels`` sends them.
"""
