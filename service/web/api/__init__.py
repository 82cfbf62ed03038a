"""The HTTP API, ``/api/v1``: routes and their schemas, one folder per resource.

Imports ``auth``, ``delivery`` and below, never ``store``. Every route declares the permission that it needs.
"""
