"""The HTTP application: the API and the pages.

Imports everything below it but ``store``. It adds no rule: it calls use cases and shows their results.
"""
