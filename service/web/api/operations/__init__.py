"""Operation of the service: what needs attention, channels, keys, settings.

Imports ``web.api`` and below. Routes and schemas only.
"""
