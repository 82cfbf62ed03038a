"""Delivery as data: attempts, retry decisions, escalation, acknowledgements, call tasks, webhooks.

Imports ``notice`` and below. It sends nothing; ``service.delivery`` does.
"""
