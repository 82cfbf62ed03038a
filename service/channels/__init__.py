"""How a notice leaves the house: SMTP, webhooks, the console inbox; and the listener for bounces.

Imports ``auth``, ``crypto`` and below. Sends once and reports the outcome; retries are decided in
``notifications.delivery``.
"""
