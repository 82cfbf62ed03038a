"""The auditor's pages: who was notified, the entries of the log, its heads, bundles.

Imports ``console`` and below. Nothing here changes anything; a read of an auditor and a made bundle are logged.
"""
