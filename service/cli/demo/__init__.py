"""The demonstration: real public incidents, and how the service handles them.

Imports anything. Runs on loopback with demonstration keys; nothing of the product imports it.
"""
