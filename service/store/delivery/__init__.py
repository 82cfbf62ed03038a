"""Deliveries, leases, escalations, bounces, webhooks, alerts and mails, stored.

Imports ``store.sql`` and ``store.tables``.
"""
