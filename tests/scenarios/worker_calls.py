"""What the tests let worker processes do; importable there by this name."""

import os
import signal
import sys
import time
from pathlib import Path


def double(number: int) -> int:
    return 2 * number


def own_pid() -> int:
    return os.getpid()


def refuse(text: str) -> None:
    raise ValueError(text)


def leave(code: int) -> None:
    os._exit(code)


def leave_politely(code: int) -> None:
    raise SystemExit(code)


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def interrupt_myself() -> int:
    os.kill(os.getpid(), signal.SIGINT)
    return os.getpid()


def wait_forever() -> None:
    time.sleep(600)


def unsendable() -> object:
    return lambda: None


def environment_and_folder(name: str) -> tuple[str | None, str]:
    return os.environ.get(name), str(Path.cwd())


def is_loaded(module: str) -> bool:
    return module in sys.modules
