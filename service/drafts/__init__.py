"""Drafts of incidents and announcements: kept for a person who types one, opened by alerts, erased after their time.

Imports ``monitoring``, ``channels`` and below. Declares nothing: an incident is only declared by a person or a program
that asks for it.
"""
