"""A port for a server that is started later, or more than once."""

from contextlib import contextmanager

from service.system.http_server import bound_socket


@contextmanager
def reserved_port():
    """Yield a port of loopback that no other process gets meanwhile; connections to it are refused.

    A socket that does not listen stays bound to it. A server that sets SO_REUSEADDR, as those of asyncio do, can still
    listen there. A port that is only looked up and given back is sometimes another process's when it is needed.
    """
    with bound_socket("127.0.0.1", 0) as held:
        yield held.getsockname()[1]
