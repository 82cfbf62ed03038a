"""The worker and everything around a delivery: sealing and sending loops, destinations, bounces, escalation, calls.

Imports ``channels``, ``monitoring`` and below. Decides nothing: each step is a use case of ``notifications``.
"""
