"""The command ``greffier``, one file per command.

Imports anything. Reads arguments, calls one function, prints: no logic. ``main`` names the commands. It imports a
command only to run it or to show its help, so a command's file imports what it needs at its top.
"""
