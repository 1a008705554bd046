"""What a result was measured with: the machine, the versions, the commit, the weights, the load.

Figures of two results may stand in one table only where their machines are the same.
"""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec

from umbrella_engine.config import ModelSource, PairConfig
from umbrella_engine.interface import Progress, Report

LIBRARIES: Final = ("umbrella-lsp", "torch", "transformers", "tokenizers", "triton")
GIB: Final = 2**30


class Machine(msgspec.Struct, frozen=True):
    """Hardware, as people name it."""

    cpu: str
    cores: int  # that this process may use
    memory_gib: int
    gpu: str = ""  # "" without one, or where it is not used

    @property
    def name(self) -> str:
        """Give what a table's row is called: the GPU, else the processor and its cores."""
        return self.gpu or f"{self.cpu}, {self.cores} cores"


class File(msgspec.Struct, frozen=True):
    """One file of weights."""

    role: str  # "target" or "draft"
    name: str
    bytes: int
    sha256: str


class Stamp(msgspec.Struct, frozen=True):
    """When, where and with what."""

    date: str  # ISO 8601, UTC
    commit: str  # "" where the package is no checkout
    machine: Machine
    versions: dict[str, str]
    load: float  # processes that wanted to run in the minute before the measurement
    files: tuple[File, ...] = ()


def stamp(files: tuple[File, ...] = (), *, gpu: bool, commit: str = "") -> Stamp:
    """Look at this machine now; `commit` is what to say where git does not know."""
    return Stamp(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=_commit() or commit,
        machine=machine(gpu=gpu),
        versions=_versions(),
        load=round(os.getloadavg()[0], 2),
        files=files,
    )


def machine(*, gpu: bool) -> Machine:
    """Name the hardware."""
    import psutil

    name = ""
    if gpu:
        import torch

        name = torch.cuda.get_device_name()
    return Machine(
        cpu=_processor(),
        cores=available_cores(),
        memory_gib=round(psutil.virtual_memory().total / GIB),
        gpu=name,
    )


def weights(pair: PairConfig, folders: dict[str, Path], report: Report) -> tuple[File, ...]:
    """Hash what the pair's models were loaded from: a GGUF file, else the folder's safetensors."""
    sources = {"target": pair.target, "draft": pair.draft}
    found = [
        (role, path) for role, folder in folders.items() for path in _paths(sources[role], folder)
    ]
    files = []
    for number, (role, path) in enumerate(found):
        report(Progress("hashing", f"hashing {path.name}", number, len(found)))
        files.append(hashed(role, path))
    return tuple(files)


def hashed(role: str, path: Path) -> File:
    """Describe one file."""
    from umbrella_engine.sources.stamps import stamp_file

    known = stamp_file(path)
    return File(role, path.name, known.size, known.sha256)


def _paths(source: ModelSource | None, folder: Path) -> list[Path]:
    named = Path(source.path).expanduser() if source and source.path else folder
    return [named] if named.is_file() else sorted(folder.glob("*.safetensors"))


def _commit() -> str:
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def available_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
