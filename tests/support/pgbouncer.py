"""A real PgBouncer in front of the tests' PostgreSQL, on its own socket."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path


@contextlib.contextmanager
def pgbouncer(address: str, pool_mode: str):
    """Run a connection pooler in front of a database; yield the address of the pooler."""
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    _, _, rest = address.partition("@/")
    database, _, host = rest.partition("?host=")
    # Not in the test's own folder, which the pooler's user cannot read.
    scratch = tempfile.TemporaryDirectory(prefix="pgbouncer-")
    folder = Path(scratch.name)
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n{database} = host={host} dbname={database} user=postgres\n"
        f"[pgbouncer]\npool_mode = {pool_mode}\nlisten_addr =\nlisten_port = 6432\nunix_socket_dir = {folder}\n"
        f"auth_type = any\nlog_connections = 0\nlog_disconnections = 0\n"
        "default_pool_size = 20\n"
    )
    command = [program, str(folder / "pgbouncer.ini")]
    if os.geteuid() == 0:
        # PgBouncer refuses to run as root. The user of the database can open the database's socket.
        owner = (Path(host) / "PG_VERSION").stat()
        for path in (folder, *folder.iterdir()):
            os.chown(path, owner.st_uid, owner.st_gid)
        command = ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups", *command]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            if "process up" in line:
                break
        else:
            raise RuntimeError("pgbouncer did not start")
        yield f"postgresql://postgres:@/{database}?host={folder}&port=6432"
    finally:
        process.terminate()
        process.communicate()
        scratch.cleanup()
