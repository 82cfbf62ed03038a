"""Delivery as data: attempts, retry decisions, escalation, acknowledgement, call tasks, webhooks.

Imports ``notice`` and below. Sends nothing: ``service.delivery`` does.
"""
