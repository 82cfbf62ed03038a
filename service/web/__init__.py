"""The HTTP application: the API and the pages.

Imports everything below it but ``store``. Adds no rule: it calls use cases and shows what they answer.
"""
