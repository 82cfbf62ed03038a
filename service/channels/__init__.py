"""The channels of a notice: SMTP, webhooks, the console inbox; and the listener for bounces.

Imports ``auth``, ``crypto`` and below. A channel sends once and reports the outcome; ``notifications.delivery`` decides
about retries.
"""
