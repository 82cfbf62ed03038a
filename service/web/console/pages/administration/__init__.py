"""Pages of the administration: accounts, keys, settings, health, alerts.

Imports ``web.api`` and below. Each page calls what the API calls, under the same permission.
"""
