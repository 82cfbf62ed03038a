"""Use cases of legal duties: what customers state of themselves, and what the provider itself owes to authorities.

Allowed: calls of the pure core and of ports. Not allowed: any I/O of its own, and any rule of the law, which is data.
"""
