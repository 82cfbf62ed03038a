"""The domain: who must be told of an incident, why, by when, with what words, and what proves it.

Nothing in this package touches the network, a file, a database, the clock or the environment.
"""
