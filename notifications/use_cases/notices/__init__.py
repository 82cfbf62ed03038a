"""Seal and deliver notices, share timestamps, escalate, record acknowledgements, process bounces, pause channels.

Imports ``ports`` and below. One module per use case, numbered steps.
"""
