"""Notices on paper: typesetting as tagged PDF/A-3, and the verification of such a PDF.

Imports ``crypto`` and below. What it needs is in the optional extra ``pdf``; modules that import it are imported only
where a PDF is made or verified.
"""
