"""What people must look at: alerts, findings, metrics, certificates that end, disk space.

Imports ``audit_log``, ``auth`` and below. Sends nothing to a customer and changes no notice.
"""
