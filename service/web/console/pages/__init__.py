"""One module per page.

Imports ``web.console`` and below. The words are in ``messages/``, the layout is in ``templates/``.
"""
