"""The HTTP API, ``/api/v1``: routes and their schemas, one file per resource."""
