"""Routes of monthly reports and yearly statistics.

Imports ``web.api`` and below. The routes only read.
"""
