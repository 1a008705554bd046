"""Checks of the machine: device, memory, disk."""

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from umbrella_daemon.doctor.finding import Finding, fail, ok, warn
from umbrella_daemon.paths import log_path, models_directory
from umbrella_daemon.settings import Settings

SPARE_DISK_MB: Final = 2000


async def device(settings: Settings) -> Finding:
    """Where the model will run."""
    import torch

    wanted = settings.engine.device
    if torch.cuda.is_available():
        gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        names = ", ".join(f"{gpu.name} with {gpu.total_memory / 2**30:.0f} GiB" for gpu in gpus)
        if wanted.startswith("cuda:") and int(wanted[5:]) >= len(gpus):
            return fail(f"no {wanted}; there is {names}", "Correct the setting engine.device.")
        if wanted == "cpu":
            return ok(f"{_cpu()} (GPU there: {names})")
        return ok(f"{wanted}: {names}; {_kernels(wanted)}")
    if wanted.startswith("cuda"):
        return fail(
            f"engine.device is {wanted}, but torch sees no GPU",
            "Set engine.device to auto or cpu, or install a GPU driver and torch for CUDA.",
        )
    if shutil.which("nvidia-smi") and torch.version.cuda is None:
        return warn(
            f"{_cpu()}; there is an NVIDIA driver, but this torch is for the CPU only",
            "To use the GPU, install a CUDA build of torch into the same environment.",
        )
    return ok(_cpu())


def _kernels(wanted: str) -> str:
    """Which kernels compute there; the families they take are listed in the engine's README."""
    from umbrella_engine.cuda.support import reason_against_device
    from umbrella_engine.hardware import choose_device

    reason = reason_against_device(choose_device(wanted))
    if reason:
        return f"steps in plain torch, several times slower, since {reason}"
    return "steps on fused kernels, one graph each"


@dataclass(frozen=True, slots=True)
class Heads:
    """Attention of Qwen2.5-Coder 1.5B, on which libraries are tried here."""

    n_heads: int = 12
    n_kv_heads: int = 2
    head_dim: int = 128
    scale: float = 128**-0.5


async def attention(settings: Settings) -> Finding:
    """Which attention a model gets: what is installed, what it takes on this GPU."""
    from umbrella_engine.attention.choice import choose_for_prompts, said
    from umbrella_engine.errors import EngineError
    from umbrella_engine.hardware import choose_device, choose_dtype

    device = choose_device(settings.engine.device)
    wanted = settings.engine.attention
    if device.type != "cuda":
        ignored = "" if wanted == "auto" else f'; engine.attention = "{wanted}" is for GPUs'
        return ok(f"in plain torch, as on every CPU{ignored}")
    dtype = choose_dtype(settings.engine.dtype, device)
    try:
        op, tried = choose_for_prompts(wanted, Heads(), dtype, device)
    except EngineError as error:
        return fail(str(error), 'Set engine.attention to "auto", or install it.')
    found = f"prompts through {said(op.name, tried)}"
    steps = f'as engine.attention = "{wanted}" says'
    if wanted in {"auto", "own"}:
        steps = "through our kernel, unless a library is faster when the model is loaded"
    if any(trial.reason == "not installed" for trial in tried):
        found += "; a library would serve prompts, of whose time attention is a small part"
    return ok(f"{found}; steps {steps}")


def _cpu() -> str:
    import torch

    cores = psutil.cpu_count(logical=False) or os.cpu_count()
    capability = torch.backends.cpu.get_cpu_capability()
    bf16 = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    speed = "bfloat16 supported" if bf16 else "no bfloat16 instructions, float32 is used"
    return f"CPU, {cores} cores, {platform.machine()} {capability}, {speed}"


async def memory(_: Settings) -> Finding:
    """How much memory is free."""
    found = psutil.virtual_memory()
    text = f"{found.available / 2**30:.1f} of {found.total / 2**30:.1f} GiB available"
    if found.available < 2**30:
        return warn(text, "Close something: the smallest pair takes about 1 GiB.")
    return ok(text)


async def disk(settings: Settings) -> Finding:
    """Whether weights and the log can be written."""
    directory = models_directory(settings)
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        advice = "Change its owner, or the setting models.directory."
        return fail(f"{directory}: {existing} is no directory that can be written to", advice)
    if (log := log_path()).exists() and not os.access(log, os.W_OK):
        return fail(f"the log {log} cannot be written to", "Delete it, or change its owner.")
    free_mb = shutil.disk_usage(existing).free // 2**20
    text = f"{free_mb:,} MiB free at {_home(directory)}"
    if free_mb < SPARE_DISK_MB:
        advice = "Free some space, or keep weights elsewhere with the setting models.directory."
        return warn(text, advice)
    return ok(text)


def _home(path: Path) -> str:
    """Write a path of the user's with "~"."""
    try:
        return str("~" / path.relative_to(Path.home()))
    except ValueError:
        return str(path)
