"""Change, import and erase customers; keep their webhooks.

Imports ``ports`` and below. One module per use case, numbered steps.
"""
