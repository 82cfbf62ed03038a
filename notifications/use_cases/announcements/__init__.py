"""Announcements: notices of the agreement that are about no incident; consent to them, their registered letters.

Imports ``ports`` and below. One module per use case, numbered steps.
"""
