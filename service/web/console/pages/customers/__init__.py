"""Pages by which the provider keeps its customers: the list, one customer, its agreements, import, erasure.

Imports ``web.api`` and below. Each page calls what the API calls, under the same permission.
"""
