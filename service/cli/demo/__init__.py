"""The demonstration: real public incidents, and what the service makes of them.

Imports anything. Runs on loopback with demonstration keys; nothing of the product imports it.
"""
