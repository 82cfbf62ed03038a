"""SQLite and PostgreSQL: opening, group commit, sessions, triggers, migrations.

The top of ``store``: imports the rest of it.
"""
