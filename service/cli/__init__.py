"""The command ``greffier``, one file per command.

Imports anything. Reads arguments, calls one function, prints: no logic. Commands load what they need, when
they run.
"""
