"""The command ``greffier``, one file per command.

Imports anything. Reads arguments, calls one function, prints: no logic. ``main`` names the commands and imports each
one when it runs or when its help is asked for, so a command's file imports what it needs at its top.
"""
