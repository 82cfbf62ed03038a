"""Stands here so that ``tests`` is on the import path: suites share ``fakes``."""
