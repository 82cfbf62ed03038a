"""Loads the program once and forks for each command: a start costs what starting costs, not what importing costs.

Run as a script by ``commands``, with the descriptor of a listening socket. A client connects, and sends one message
with what is to be run, its arguments, environment and working folder, and the descriptors of standard input, output and
error. It is sent the process id, and the status once the process has ended. The server ends with its standard input.
"""

import asyncio
import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys

#: An environment is sent as it is.
MESSAGE_BYTES = 1 << 20


def serve(listening):
    """Fork for each client; returns, in the process that is to be the command, what it is to run."""
    _load()
    with socket.socket(fileno=listening) as listener, selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)
        selector.register(listener, selectors.EVENT_READ)
        clients = {}
        while True:
            for key, _ in selector.select():
                if key.fileobj is sys.stdin:
                    sys.exit()
                if key.fileobj is not listener:
                    # The descriptor of a process is read from once that has ended.
                    _tell(clients.pop(key.fd), key.data)
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    continue
                client, _ = listener.accept()
                order, streams, _, _ = socket.recv_fds(client, MESSAGE_BYTES, 3)
                if not (process := os.fork()):
                    for descriptor, other in clients.items():
                        os.close(descriptor)
                        other.close()
                    client.close()
                    return _become(streams, **json.loads(order))
                for stream in streams:
                    os.close(stream)
                client.send(str(process).encode())
                descriptor = os.pidfd_open(process)
                clients[descriptor] = client
                selector.register(descriptor, selectors.EVENT_READ, process)


def _tell(client, process):
    _, status = os.waitpid(process, 0)
    # Nobody may wait for it any more.
    with client, contextlib.suppress(BrokenPipeError):
        client.send(str(os.waitstatus_to_exitcode(status)).encode())


def _load():
    """Import what every command needs, and what the service imports with its first requests."""
    import alembic.command
    import alembic.config  # noqa: F401
    import uvicorn.lifespan.off  # noqa: F401
    import uvloop  # noqa: F401
    from fastapi import FastAPI

    import service.bootstrap.serve
    import service.bootstrap.work
    import service.cli.main
    import service.store.engines.postgresql_opening  # noqa: F401
    from notifications.agreement import bundled_agreements
    from service.store.engines.migration import newest_revision
    from service.web.areas import API, Areas

    newest_revision()
    bundled_agreements()
    areas = Areas(FastAPI(), public_log=True)
    for area in ("incidents", "customers"):
        asyncio.run(areas.prepare(f"{API}/{area}"))
    # What is loaded stays: no process looks through it again, and its memory stays shared.
    gc.collect()
    gc.freeze()


def _become(streams, program, arguments, environment, folder):
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["greffier", *arguments]
    module, _, function = program.partition(":")
    return getattr(importlib.import_module(module), function)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main = serve(int(sys.argv[1]))
    main()
