"""One module per page.

Imports ``web.console`` and below. Words stand in ``messages/``, layout in ``templates/``.
"""
