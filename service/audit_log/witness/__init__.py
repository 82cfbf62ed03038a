"""A witness of a log: its client, its server, and its data folder.

Imports ``audit_log`` and below. A witness cosigns only a head that extends the last one it cosigned.
"""
