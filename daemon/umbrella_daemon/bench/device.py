"""`umbrella bench device`: what this machine can do, and how near a step of the pair comes to it.

A step reads all weights once, however many rows it has; no step is faster than memory gives them.
That time over the step's own is its roofline fraction.
"""

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch

from umbrella_daemon.bench.launches import ON_DEVICE, launch_costs
from umbrella_daemon.bench.memory_rates import TRANSFERS, streaming, transfers
from umbrella_daemon.bench.result import BenchError, Figure, Result, Subject
from umbrella_daemon.bench.session import Session
from umbrella_engine.hardware import apply_threads, choose_device
from umbrella_engine.interface import Tokenizer
from umbrella_engine.language_model import LanguageModel
from umbrella_engine.load import Models
from umbrella_engine.shape.costs import Curve
from umbrella_engine.tune.reading import bytes_read
from umbrella_engine.tune.timing import ROWS, measure, measure_on_device

Row = dict[str, Figure]
ROOM: Final = 512  # tokens that timing writes behind the prompt, and its widest pass
MEMORY: Final = "memory"  # kinds of rows
LAUNCHES: Final = "launch"
STEPS: Final = "step"
ONE_MEMORY: Final = "a CPU has no memory but the host's"
NO_LAUNCH: Final = "a CPU is called, nothing is launched"


@dataclass
class Device:
    """One measurement: the machine first, while it is empty, then the pair's steps."""

    session: Session
    length: int  # tokens that steps stand behind
    seconds: float  # for all steps
    mebibytes: int  # of a buffer
    rows: list[Row] = field(default_factory=list)
    series: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def run(self) -> Result:
        """Measure. Raises BenchError where something does not fit, and as loading does."""
        settings = self.session.settings
        apply_threads(settings.engine)
        device = choose_device(settings.engine.device)
        self.session.begin(str(device))
        best = self._machine(device)
        self._steps(self.session.loader.models(), best)
        info = self._info
        subject = Subject(info.pair, info.target, info.draft, info.device, info.dtype)
        return self.session.result(
            "device", tuple(self.rows), notes=tuple(self.notes), series=self.series, subject=subject
        )

    def _machine(self, device: torch.device) -> float:
        """Measure memory and launches; give the best rate of the device's memory in GB/s."""
        gpu = device.type == "cuda"
        self.session.advanced("reading and copying memory", 0)
        rates = streaming(device, self.mebibytes)
        best = max(rates.values())
        if gpu:
            rates |= transfers(device, self.mebibytes)
            torch.cuda.empty_cache()  # the models need the buffers' memory
        self.session.advanced("launching", 10)
        costs = launch_costs(device)
        self.rows += [_row(name, MEMORY, gb_per_s=rate) for name, rate in rates.items()]
        self.rows += [_row(name, LAUNCHES, us=us) for name, us in costs.items()]
        if not gpu:
            self.rows += [_row(name, MEMORY, reason=ONE_MEMORY) for name in TRANSFERS]
            self.rows += [_row(name, LAUNCHES, reason=NO_LAUNCH) for name in ON_DEVICE]
        return best

    def _steps(self, models: Models, best: float) -> None:
        self._info = models.info
        prompt = prompt_of(models.tokenizer, self.length, models.info.context_tokens)
        pair = {"target": models.target, "draft": models.draft}
        present = {role: model for role, model in pair.items() if model is not None}
        for place, (role, model) in enumerate(present.items()):

            def advanced(share: float, role: str = role, place: int = place) -> None:
                percent = 20 + 80 * (place + share) / len(present)
                self.session.advanced(f"timing steps of the {role}", int(percent))

            curve = measure(model, prompt, self.seconds / len(present), advanced)
            self._keep(role, model, curve, measure_on_device(model, prompt), best)
        if models.draft is None:
            self.notes.append(
                "no draft's steps: the pair has no draft model, or it is switched off"
            )
        self.notes.append(
            f"steps: rows of one forward pass behind {self.length} tokens, from plain lists to "
            "chosen tokens on the host; medians"
        )
        self.notes.append(
            f"roofline: the weights' bytes over {best:.4g} GB/s, the best rate above, over the "
            "step's time; keys, values and arithmetic are left out"
        )

    def _keep(
        self, role: str, model: LanguageModel, curve: Curve, own: Curve | None, best: float
    ) -> None:
        """Note a model's curve: with the host, and the device's own where it is known."""
        size = bytes_read(model.decoder)
        floor = None if size is None else size / best / 1e6  # ms
        if floor is None:
            self.notes.append(f"no roofline of the {role}: how many experts it reads varies")
        for rows, ms in zip(curve.rows, curve.ms, strict=True):
            alone = None if own is None else own.ms[own.rows.index(_captured(own, rows))]
            self.rows.append(
                _row(
                    f"{role}, {rows} row" + "s" * (rows > 1),
                    STEPS,
                    role=role,
                    rows=rows,
                    ms=round(ms, 3),
                    of_one_row=round(ms / curve.ms[0], 3),
                    weight_mb=None if size is None else round(size / 1e6, 1),
                    floor_ms=None if floor is None else round(floor, 4),
                    roofline=None if floor is None else round(floor / ms, 4),
                    device_ms=None if alone is None else round(alone, 4),
                    device_roofline=_share(floor, alone),
                )
            )
        self.series[role] = {"rows": [float(one) for one in curve.rows], "ms": list(curve.ms)}
        if floor is not None:
            self.series[role]["floor_ms"] = [floor] * len(curve.rows)
        if own is not None:
            self.series[role] |= {
                "device_rows": [float(one) for one in own.rows],
                "device_ms": list(own.ms),
            }


def prompt_of(tokenizer: Tokenizer, length: int, context_tokens: int) -> list[int]:
    """Give so many tokens of a file of Python's own library.

    Raises BenchError where they do not fit or where the file has fewer.
    """
    ids = tokenizer.encode(Path(argparse.__file__).read_text("utf-8"))
    most = min(context_tokens - ROOM, len(ids))
    if not ROWS[-1] <= length <= most:
        raise BenchError(
            f"steps cannot be timed behind {length} tokens: --length may be {ROWS[-1]} to {most} "
            f"with engine.context_tokens = {context_tokens}"
        )
    return list(ids[:length])


def _row(name: str, kind: str, **figures: Figure) -> Row:
    return {"name": name, "kind": kind, **figures}


def _captured(curve: Curve, rows: int) -> int:
    return next(one for one in curve.rows if one >= rows)


def _share(floor: float | None, ms: float | None) -> Figure:
    return None if floor is None or ms is None else round(floor / ms, 4)
