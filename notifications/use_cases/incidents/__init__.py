"""Declare and change incidents, decide for each customer, draft follow-ups, and release notices.

Imports ``ports`` and below. One module per use case, numbered steps.
"""
