"""Reports of a month or a year, computed from the leaves of the log and nothing else.

``recomputing`` computes an issued report again, for an auditor. Imports ``evidence`` and below. Its input is
leaves, a period and a moment; it knows no names of customers.
"""
