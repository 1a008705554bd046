"""Start the resident daemon as a process of its own, detached from the editor that needed it.

Knows nothing of sockets or frames. Which of several daemons started at once stays is decided by
the daemons themselves, by a lock; the others exit with status 0.
"""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

import msgspec

from umbrella_daemon.layers import keys
from umbrella_daemon.paths import log_path
from umbrella_daemon.settings import PREFIX, Settings, load_settings

MAX_TAIL_LINES: Final = 12
OF_CLIENTS: Final = ("completion.", "chat.", "api.", "web.")  # settings that are not the daemon's


class DaemonProcess:
    """A daemon that this process started; it outlives us."""

    def __init__(self, settings: Settings) -> None:
        self._log = log_path()
        with self._log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                # -P: nothing is imported from the directory the editor happens to be in
                [sys.executable, "-P", "-m", "umbrella_daemon.resident"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=environment(settings),
                cwd="/",
                start_new_session=True,
            )
        # Reaped when it ends, so that no zombie stays below an editor that runs for weeks.
        threading.Thread(target=self._process.wait, name="daemon-reaper", daemon=True).start()

    @property
    def status(self) -> int | None:
        """Exit status, None while it runs."""
        return self._process.poll()

    def last_words(self) -> str:
        """Give what this process wrote to the log, its end if that is long."""
        try:
            with self._log.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(self._log_start if self._log_start <= size else 0)
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-MAX_TAIL_LINES:])


def environment(settings: Settings) -> dict[str, str]:
    """Give our environment, changed so that a daemon started with it has `settings`.

    Relative paths are made absolute: the daemon has another working directory. Section
    Sections that are read by clients alone are left out: each editor window, chat and server has
    its own. Raises SettingsError.
    """
    variables = dict(os.environ)
    known = load_settings()
    for key in keys(settings):
        value = _value(settings, key)
        if not key.startswith(OF_CLIENTS) and value != _value(known, key):
            variables[PREFIX + key.replace(".", "__").upper()] = _text(value)
    paths = {
        "DAEMON__SOCKET": settings.daemon.socket,
        "MODELS__DIRECTORY": settings.models.directory,
    }
    if "/" in settings.pair or settings.pair.endswith((".toml", ".gguf")):  # a path, not a name
        paths["PAIR"] = settings.pair
    for key, path in paths.items():
        if path:
            variables[PREFIX + key] = str(Path(path).expanduser().absolute())
    return variables


def _value(settings: msgspec.Struct, key: str) -> object:
    value: object = settings
    for part in key.split("."):
        value = getattr(value, part)
    return value


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
