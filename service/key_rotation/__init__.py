"""Key rotation: a new key is prepared, announced in the log, and then used.

Imports ``monitoring``, ``channels`` and below. No key is used before the log names it.
"""
