"""Monitoring: alerts, findings, reminders of legal duties, metrics, certificate expiry, disk space.

Imports ``audit_log``, ``auth`` and below. Sends nothing to a customer and changes no notice.
"""
