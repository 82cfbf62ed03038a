"""Loads the program once and forks for each command: a start costs what starting costs, not what importing costs.

Run as a script by ``commands``, with the descriptor of a listening socket. A client connects, and sends one message
with the arguments, the environment and the working folder, and the descriptors of standard input, output and error. It
is sent the process id, and the status once the process has ended. The server ends with its standard input.
"""

import gc
import json
import os
import selectors
import signal
import socket
import sys

#: An environment is sent as it is.
MESSAGE_BYTES = 1 << 20


def serve(listening):
    """Fork for each client; returns in the process that is to be the command."""
    with socket.socket(fileno=listening) as listener, selectors.DefaultSelector() as selector:
        _load()
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        while True:
            if any(key.fileobj is sys.stdin for key, _ in selector.select()):
                sys.exit()
            client, _ = listener.accept()
            # What watches over a command that has ended has ended too.
            while _ended(-1):
                pass
            if not os.fork():
                break
            client.close()
    order, descriptors, _, _ = socket.recv_fds(client, MESSAGE_BYTES, 3)
    command = os.fork()
    if command:
        for descriptor in descriptors:
            os.close(descriptor)
        client.send(str(command).encode())
        _, status = os.waitpid(command, 0)
        client.send(str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    client.close()
    _become(**json.loads(order))


def _ended(process):
    try:
        return os.waitpid(process, os.WNOHANG)[0]
    except ChildProcessError:
        return 0


def _load():
    import service.bootstrap.serve
    import service.bootstrap.work
    import service.cli.main  # noqa: F401

    # What is loaded stays: no process looks through it again, and its memory stays shared.
    gc.collect()
    gc.freeze()


def _become(arguments, environment, folder):
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["greffier", *arguments]


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    serve(int(sys.argv[1]))
    from service.cli.main import main

    main()
