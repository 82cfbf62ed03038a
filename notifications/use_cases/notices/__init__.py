"""Seal and deliver notices, escalate, record acknowledgements, process bounces, pause channels, replay notices.

Imports ``ports`` and below. One module per use case, numbered steps.
"""
