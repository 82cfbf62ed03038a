"""Change, import and erase customers, and manage their webhooks.

Imports ``ports`` and below. One module per use case, numbered steps.
"""
