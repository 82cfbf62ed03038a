"""Check contacts, their certificates and webhooks before there is an incident; ``checker`` has the order of the steps.

Messages are harmless and marked as tests. Requests to other systems are made outside any transaction.
"""
