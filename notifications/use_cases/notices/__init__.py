"""Seal, deliver, escalate, acknowledge, process bounces, pause, replay.

Imports ``ports`` and below. One module per use case, numbered steps.
"""
