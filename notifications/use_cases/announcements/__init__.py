"""Announcements: notices of the agreement that are about no incident. Declared, changed, cancelled, carried out."""
