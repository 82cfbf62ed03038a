"""Pages: server-rendered HTML for people, over the same use cases and the same scope as the API.

Imports ``web.api`` schemas and below, never ``store``. A page can do nothing that the API cannot.
"""
