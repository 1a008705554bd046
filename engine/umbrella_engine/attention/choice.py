"""Which attention serves a model on a GPU: what is installed, what is equal, what is fastest.

Each candidate runs a few times on the model's own shapes when it is loaded; what fails or gives
other results than ours is left alone, with its reason.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from umbrella_engine.attention.libraries import FlashOp, TorchFlash, installed
from umbrella_engine.config import AttentionSetting
from umbrella_engine.errors import EngineError

CHUNK = 1024  # tokens of a prompt, behind as many
RUNS = 5
LIMIT = 2e-2  # relative distance from our own result, in 16-bit numbers


class Shape(Protocol):
    """What attention needs to know of a model."""

    @property
    def n_heads(self) -> int:
        """Query heads."""
        ...

    @property
    def n_kv_heads(self) -> int:
        """Key heads."""
        ...

    @property
    def head_dim(self) -> int:
        """Numbers in a key."""
        ...

    @property
    def scale(self) -> float:
        """What scores are multiplied by."""
        ...


@dataclass(frozen=True, slots=True)
class Trial:
    """One candidate: how long it took, or why it is not used."""

    name: str
    milliseconds: float | None
    reason: str = ""

    def __str__(self) -> str:
        """Say it in a few words."""
        said = self.reason if self.milliseconds is None else f"{self.milliseconds:.3f} ms"
        return f"{self.name} {said}"


def try_out(name: str, run: Callable[[], Tensor], expected: Tensor) -> Trial:
    """Run a candidate, compare, and time it."""
    try:
        distance = float((run().float() - expected.float()).norm() / expected.float().norm())
        if not distance <= LIMIT:  # NaN too
            return Trial(name, None, f"gives other results (relative distance {distance:.2g})")
        return Trial(name, _milliseconds(run, expected.device))
    except Exception as error:  # a library fails as it likes; there is always another way
        first = (str(error).splitlines() or [""])[0]
        return Trial(name, None, f"fails here ({type(error).__name__}: {first})")


def _milliseconds(run: Callable[[], object], device: torch.device) -> float:
    """Time one run of several, the queue of a GPU included."""
    run()
    _wait(device)
    began = time.perf_counter()
    for _ in range(RUNS):
        run()
    _wait(device)
    return (time.perf_counter() - began) / RUNS * 1e3


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def fastest(trials: Sequence[Trial]) -> Trial | None:
    """Give the fastest of those that can be used, the earlier where two are equal."""
    usable = [trial for trial in trials if trial.milliseconds is not None]
    return min(usable, key=lambda trial: trial.milliseconds or 0.0, default=None)


@torch.inference_mode()
def choose_for_prompts(
    setting: AttentionSetting, shape: Shape, dtype: torch.dtype, device: torch.device
) -> tuple[FlashOp, list[Trial]]:
    """Give what reads prompts, and what was tried or why it was not.

    Raises EngineError where the setting names a library that cannot be used.
    """
    own = TorchFlash()
    if setting in {"own", "torch"}:
        return own, []
    libraries, reasons = installed(dtype)
    absent = [Trial(name, None, reason) for name, reason in reasons.items()]
    if not libraries and setting == "auto":
        return own, absent
    generator = torch.Generator(device).manual_seed(1)

    def noise(heads: int, rows: int) -> Tensor:
        sizes = (heads, rows, shape.head_dim)
        return torch.randn(*sizes, generator=generator, device=device).to(dtype)

    queries = noise(shape.n_heads, CHUNK)
    keys, values = noise(shape.n_kv_heads, 2 * CHUNK), noise(shape.n_kv_heads, 2 * CHUNK)

    def run(op: FlashOp) -> Callable[[], Tensor]:
        return lambda: op.causal(queries, keys, values, shape.scale)

    ops: list[FlashOp] = [own, *libraries] if setting == "auto" else libraries
    expected = run(own)()
    tried = [try_out(op.name, run(op), expected) for op in ops]
    best = fastest(tried)
    if best is None:
        raise unusable(setting, [*tried, *absent])
    return next(op for op in ops if op.name == best.name), [*tried, *absent]


def said(name: str, trials: Sequence[Trial]) -> str:
    """Say what serves, and behind it what was tried."""
    return f"{name} ({', '.join(map(str, trials))})" if trials else name


def unusable(setting: AttentionSetting, trials: Sequence[Trial]) -> EngineError:
    """Say why nothing that a setting names can be used."""
    return EngineError(
        f'engine.attention = "{setting}" cannot be used here: {"; ".join(map(str, trials))}. '
        'Set it to "auto", or install what is missing: pip install "umbrella-lsp[cuda]"'
    )
