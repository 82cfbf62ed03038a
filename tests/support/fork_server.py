"""Load the program once and fork a process for each command, so that no command has to import it again.

``commands`` runs this file as a script, with the descriptor of a listening socket. A client connects and sends one
message: the arguments, the environment and the working folder, with the descriptors of standard input, output and
error. The server replies with the process id, and with the status once the process has ended. The server ends when its
standard input is closed.
"""

import gc
import json
import os
import selectors
import signal
import socket
import sys

#: Size limit of a message; the environment is sent whole.
MESSAGE_BYTES = 1 << 20


def serve(listening):
    """Fork for each client; in the child process, return, so that it becomes the command."""
    with socket.socket(fileno=listening) as listener, selectors.DefaultSelector() as selector:
        _load()
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        while True:
            if any(key.fileobj is sys.stdin for key, _ in selector.select()):
                sys.exit()
            client, _ = listener.accept()
            # Reap the children that have ended; each child waits for one command and ends after it.
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

    # Exclude the loaded objects from garbage collection, so that the forks keep sharing their memory.
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
