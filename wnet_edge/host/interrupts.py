"""Handling of interrupts: Ctrl-C, and SIGTERM and SIGHUP, which batch systems and terminals send.

All three raise `KeyboardInterrupt`, after which the running code cleans up. This module does what
an exception can't: wait until two files have been renamed, stop a running graph, or end the process
inside a library that does not return.
"""

import contextlib
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, Protocol
from weakref import WeakSet

FAILED = 1
SIGNALS = tuple(
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if name in signal.Signals.__members__
)
_UNTOUCHED = (signal.SIG_DFL, signal.default_int_handler)
"""Default handlers; any other was set on purpose (as by nohup) and is kept."""

_PATIENCE = 3
"""Number of signals after which the process ends at once, even if it hangs."""


class Stoppable(Protocol):
    """Work in a library that an exception does not stop."""

    def stop(self) -> None:
        """Request an early end; called from another thread."""
        ...


stoppable: WeakSet[Stoppable] = WeakSet()
"""Work that is stopped at the first signal."""

temporary_paths: set[Path] = set()
"""Files and folders that are deleted if the process ends at once."""

_steady = threading.Lock()
"""Held while files are renamed."""

_received: list[int] = []
"""Signal numbers received since `interruptible` began."""

_END = b"\0"
"""Byte that ends the watcher; it is no signal number."""


def exit_code() -> int:
    """Exit code of an interrupted run: 1 after Ctrl-C, as in click, else 128 + signal number."""
    if not _received or _received[0] == signal.SIGINT:
        return FAILED
    return 128 + _received[0]


def interrupted() -> bool:
    """Whether a signal has been received since `interruptible` began."""
    return bool(_received)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Context in which SIGTERM and SIGHUP act like Ctrl-C; the third signal ends the process."""
    _received.clear()
    if not _in_main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    watcher = threading.Thread(target=_watch, args=(reader,), daemon=True, name="signals")
    hook = sys.unraisablehook
    sys.unraisablehook = lambda failure: _resend(failure, hook)
    before_fd = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    watcher.start()
    try:
        with _handling(_raise):
            yield
    finally:
        signal.set_wakeup_fd(before_fd)
        sys.unraisablehook = hook
        os.write(writer, _END)
        watcher.join()
        for end in (reader, writer):
            os.close(end)


@contextlib.contextmanager
def leaving_at_once() -> Iterator[None]:
    """Context in which a signal ends the process at once, without an exception.

    For code with nothing to clean up where an exception would turn into another error: while a
    library is imported, or while the interpreter shuts down.
    """

    def leave_with_a_line(number: int, _: FrameType | None) -> None:
        if not _received:
            _received.append(number)
            os.write(2, b"Error: interrupted\n")
        leave()

    with _handling(leave_with_a_line):
        yield


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Context in which signals are deferred to its end."""
    came: list[int] = []
    with _steady, _handling(lambda number, _: came.append(number), only_untouched=False):
        yield
    if came:
        signal.raise_signal(came[0])


def leave() -> NoReturn:
    """End the process at once, after deleting its temporary files and killing its children."""
    _steady.acquire(timeout=1)  # let a rename in progress finish
    for path in list(temporary_paths):
        with contextlib.suppress(OSError):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    if "multiprocessing" in sys.modules:
        for child in sys.modules["multiprocessing"].active_children():
            child.kill()
    os._exit(exit_code())


def leave_if_hung() -> None:
    """End the process if a thread still runs, which the interpreter would wait for, or crash."""
    others = [t for t in threading.enumerate() if t is not threading.main_thread()]
    if interrupted() and any(not thread.daemon for thread in others):
        leave()


@contextlib.contextmanager
def _handling(
    handler: Callable[[int, FrameType | None], object], *, only_untouched: bool = True
) -> Iterator[None]:
    """Context with `handler` for all signals, by default only those without another handler."""
    before: dict[signal.Signals, Any] = {}
    if _in_main_thread():
        for number in SIGNALS:
            old = signal.getsignal(number)
            ours = getattr(old, "__module__", None) == __name__
            if old is not None and (ours or not only_untouched or old in _UNTOUCHED):
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for handled, old in before.items():
            signal.signal(handled, old)


def _raise(number: int, _: FrameType | None) -> None:
    _received.append(number)
    raise KeyboardInterrupt(number)


def _watch(reader: int) -> None:
    """Read signals as they arrive, also while a library occupies the main thread."""
    for patience in range(_PATIENCE - 1, -1, -1):
        came = os.read(reader, 1)
        if came == _END:
            return
        if patience == 0:
            _received.append(came[0])
            leave()
        for one in list(stoppable):
            one.stop()


def _resend(failure: Any, otherwise: Callable[[Any], object]) -> None:  # noqa: ANN401
    """Send an interrupt again that was raised where exceptions are swallowed (a destructor)."""
    if not issubclass(failure.exc_type, KeyboardInterrupt) or not _received:
        otherwise(failure)
        return
    threading.Timer(0.01, _send_again).start()


def _send_again() -> None:
    """Send the signal to the main thread, which may be sleeping."""
    signal.pthread_kill(threading.main_thread().ident or 0, _received.pop(0))


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
