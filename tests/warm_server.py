"""Lends processes in which the program's modules are loaded already. `tests/warm.py` starts it and says what for.

    python tests/warm_server.py NUMBER PATH

NUMBER is that of a listening socket that it inherits, PATH its name, which goes when the server does. Each connection is one
process: it brings a line of JSON (module, arguments, folder, environment) with descriptors for standard input, output and
error, and is answered with the process's id at once and with its status, as `waitpid` gives it, at its end. The server ends
when its standard input does.

Laws: a process has what a fresh one has and nothing else: arguments, folder, environment, `sys.path`, standard streams,
signals, no other descriptor. It is forked from a process that has one thread and has done nothing with the package but import
it. It ends as a fresh one ends, but for taking its modules apart, which would cost more than most commands do.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

UNLOADED = ("manifest_runner.__main__", "manifest_runner.adapters.confined_worker", "manifest_runner.core.sandbox")
"""The door, which is what a process runs, and what loads Jinja, as the program itself never does."""

LOADED_LATE = ("anyio._backends._asyncio", "anyio._core._fileio", "anyio._core._signals", "av.subtitles.stream",
               "concurrent.futures.thread", "encodings.idna", "encodings.unicode_escape", "encodings.utf_8_sig",
               "fastjsonschema", "filelock", "httpcore", "jsonschema", "PIL.BmpImagePlugin", "PIL.GifImagePlugin",
               "PIL.JpegImagePlugin", "PIL.PngImagePlugin", "PIL.PpmImagePlugin", "uvicorn.lifespan.off", "uvicorn.loops.auto",
               "uvicorn.protocols.http.auto", "uvicorn.protocols.websockets.auto")
"""What runs import of others' in the course of things. Whatever is missing here is imported by who needs it."""

LARGEST = 1 << 20


def load() -> None:
    """Import what runs import."""
    sys.path[0] = str(Path.cwd())
    import manifest_runner

    for found in pkgutil.walk_packages(manifest_runner.__path__, "manifest_runner."):
        if found.name not in UNLOADED:
            with suppress(Exception):  # what cannot be loaded is loaded, and complained of, by who needs it
                importlib.import_module(found.name)
    for name in LOADED_LATE:
        with suppress(ImportError):
            importlib.import_module(name)
    tasks = Path("/proc/self/task")
    assert len(list(tasks.iterdir())) == 1, "a module starts a thread when it is imported: it belongs into UNLOADED"
    gc.collect()
    gc.freeze()  # so that no collection in a child copies the pages of all that is loaded


def serve(listener: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Fork for each connection. Returns in the children, with what they shall become, and at the end."""
    waking, waker = os.pipe()
    for end in (waking, waker):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who stops the tests at a terminal ends them, and so our input
    running: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([0, listener, waking], [], [])
        if waking in ready:
            os.read(waking, 4096)
            for pid in list(running):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    tell(running.pop(pid), status)
        if listener in ready:
            connection, _ = listener.accept()
            order, handles = receive(connection)
            pid = os.fork()
            if not pid:
                return order, handles
            for handle in handles:
                os.close(handle)
            running[pid] = connection
            connection.sendall(f"{pid}\n".encode())
        if 0 in ready:
            return None


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    data, handles, _, _ = socket.recv_fds(connection, LARGEST, 3)
    while not data.endswith(b"\n"):
        data += connection.recv(LARGEST)
    return json.loads(data), handles


def tell(connection: socket.socket, status: int) -> None:
    with suppress(OSError):  # perhaps nobody waits for it
        connection.sendall(f"{status}\n".encode())
    connection.close()


def become(order: dict[str, Any], handles: list[int]) -> None:
    """In a child: be this program, as if it had just been started."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, handle in enumerate(handles):
        os.dup2(handle, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.path[0] = str(Path.cwd())
    sys.argv = [order["module"], *order["arguments"]]
    for number, name in enumerate(("stdin", "stdout", "stderr")):  # each as the interpreter has made it for the server
        made = getattr(sys, name)
        setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding=made.encoding, errors=made.errors, newline="\n",
                                     buffering=1 if number == 2 else -1, closefd=False))
    code: object = None
    try:
        runpy.run_module(order["module"], run_name="__main__", alter_sys=True)
    except SystemExit as leaving:
        code = leaving.code
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    if not (code is None or isinstance(code, int)):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined] # waits for its threads, as the interpreter does
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit((code or 0) & 0xFF)


if __name__ == "__main__":
    load()
    asked = serve(socket.socket(fileno=int(sys.argv[1])))
    if asked is not None:
        become(*asked)
    Path(sys.argv[2]).unlink()
    with suppress(OSError):  # the last one takes the folder with it
        Path(sys.argv[2]).parent.rmdir()
