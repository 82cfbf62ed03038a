"""Prove a log entry, bundle evidence, record which keys are in use.

Imports ``ports`` and below. One module per use case, numbered steps.
"""
