"""The audit log and evidence bundles, served.

Imports ``web.api`` and below. Reads only.
"""
