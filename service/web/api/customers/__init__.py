"""Customers, contacts, profiles, webhooks; import, export, erasure.

Imports ``web.api`` and below. Routes and schemas only.
"""
