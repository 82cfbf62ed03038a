"""Monthly reports and yearly statistics: read from the log, issued, and written as files.

Imports ``delivery`` and below. Numbers are computed in ``notifications.reporting``; nothing here computes one.
"""
