"""How statements are made and run: sessions, encodings, flat records, paging.

Imports ``ports`` and the tables. Knows no domain record.
"""
