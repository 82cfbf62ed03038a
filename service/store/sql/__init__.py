"""Making and running statements: sessions, encodings, flat records, paging.

Imports ``ports`` and the tables. Knows no domain record.
"""
