"""The composition root: it turns settings into running parts. Only here are adapters connected to ports.

Imports everything but ``cli``. Builds, starts, stops; holds no rule and no loop of its own.
"""
