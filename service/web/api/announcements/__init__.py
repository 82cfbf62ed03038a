"""Announcements: notices of the agreement that are about no incident, the consent to them, and their letters."""
