"""The bearer token: made on the first start, kept in a file that only this user can read."""

import os
import secrets
from pathlib import Path

from umbrella_daemon.layers import SettingsError
from umbrella_daemon.paths import api_token_path


def token_in_force() -> tuple[str, Path, bool]:
    """Give the token, its file, and whether it was made just now. Raises SettingsError."""
    path = api_token_path()
    if found := read_token(path):
        return found, path, False
    made = secrets.token_urlsafe(32)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # a file that is there was empty: nothing is lost
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, 0o600)
            file.write(made + "\n")
    except OSError as error:
        raise SettingsError(
            f"the API's token cannot be kept in {path} ({error.strerror}); make that folder "
            "writable, or switch the token off with the setting api.token = false."
        ) from None
    return made, path, True


def read_token(path: Path) -> str:
    """Read the token; "" where there is none. Raises SettingsError where others can read it."""
    try:
        with path.open() as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read().strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the API's token {path} cannot be read: {error}.") from None
    if mode & 0o077:
        raise SettingsError(
            f"the API's token {path} can be read by others; remove it, and the next start of "
            "`umbrella api` makes another."
        )
    return text
