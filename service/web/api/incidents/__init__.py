"""Incidents, their assessments, and the agreements that decide them.

Imports ``web.api`` and below. Routes and schemas only.
"""
