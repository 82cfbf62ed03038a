"""The repositories that a transaction of the ports names, and their methods."""

import inspect
from typing import get_type_hints


def repositories(transaction):
    """Return the Protocol of each repository by its name in the transaction."""
    return {
        name: get_type_hints(member.fget)["return"]
        for name, member in inspect.getmembers(transaction, lambda member: isinstance(member, property))
    }


def methods(protocol):
    """Return the declared methods of a repository by name."""
    declared = inspect.getmembers(protocol, inspect.isfunction)
    return {name: method for name, method in declared if not name.startswith("_")}


def verify_signatures(transaction, implementation):
    """Verify that every method of the ports is there, with its parameters."""
    for repository, protocol in repositories(transaction).items():
        for name, declared in methods(protocol).items():
            found = inspect.signature(getattr(getattr(implementation, repository), name)).parameters
            _, *wanted = inspect.signature(declared).parameters.values()
            assert [(item.name, item.kind, item.default) for item in found.values()] == [
                (item.name, item.kind, item.default) for item in wanted
            ], (repository, name)
