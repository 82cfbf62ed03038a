"""Notices: review, release, deliveries, acknowledgements, escalation, call tasks.

Imports ``web.api`` and below. Routes and schemas only.
"""
