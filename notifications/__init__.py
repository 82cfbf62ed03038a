"""The domain: which customers must be notified of an incident, why, by when, with which text, and with which evidence.

Nothing in this package uses the network, a file, a database, the clock or the environment.
"""
