"""Routes of the audit log and of evidence bundles.

Imports ``web.api`` and below. The routes only read.
"""
