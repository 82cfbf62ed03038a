"""The composition root: settings in, running parts out. The only place where adapters meet ports.

Imports everything but ``cli``. Builds, starts, stops; holds no rule and no loop of its own.
"""
