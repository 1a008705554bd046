"""The loop around whatever is learned: steps, schedule, checkpoints, judging, and when to end.

A run ends after its minutes or steps, or early when what is held out gets no better. Its state is
kept in its folder and taken up by the next run with the same settings. Safetensors and JSON only.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from umbrella_engine.distill.data import Rows, order
from umbrella_engine.errors import EngineError
from umbrella_engine.interface import Progress, Report

STATE: Final = "training"  # .safetensors and .json
WARM_UP: Final = 0.04  # of a run
LEAST_RATE: Final = 0.05  # of the highest, at the end
WEIGHT_DECAY: Final = 0.01
BETAS: Final = (0.9, 0.98)
CLIP: Final = 1.0


class Schedule(msgspec.Struct, frozen=True):
    """How long and how fast to learn."""

    minutes: float = 10.0  # of training, in all runs together
    steps: int = 0  # at most; 0: as many as the minutes allow
    rows_per_step: int = 64
    rows_per_pass: int = 32  # of a step's rows, at once in memory
    rate: float = 1e-3  # the highest learning rate
    judge_every: float = 0.125  # of the run
    patience: int = 4  # judgements without a better one, then it ends
    seed: int = 11


class Judgement(msgspec.Struct, frozen=True):
    """What held-out rows said at some point."""

    step: int
    score: float  # the lower the better
    figures: dict[str, float]


class Run(msgspec.Struct):
    """What a run did so far, in all its parts."""

    schedule: Schedule
    step: int = 0
    seconds: float = 0.0
    tokens: int = 0
    judgements: list[Judgement] = msgspec.field(default_factory=list)

    @property
    def share(self) -> float:
        """How much of the run is done, 0 … 1."""
        by_time = self.seconds / (60 * self.schedule.minutes)
        by_steps = self.step / self.schedule.steps if self.schedule.steps else 0.0
        return min(1.0, max(by_time, by_steps))

    @property
    def stuck(self) -> bool:
        """Whether the last judgements brought nothing better."""
        scores = [one.score for one in self.judgements]
        patience = self.schedule.patience
        return len(scores) > patience and min(scores[-patience:]) >= min(scores[:-patience])


class Task(Protocol):
    """What is learned."""

    def parameters(self) -> dict[str, Tensor]:
        """Give what is trained, by name."""
        ...

    def learn(self, rows: Rows, chosen: Sequence[int]) -> tuple[Tensor, int]:
        """Give the loss of some rows and how many tokens they have."""
        ...

    def judge(self, rows: Rows) -> tuple[float, dict[str, float]]:
        """Judge by rows held out: a score, the lower the better, and figures for people."""
        ...


@dataclass(slots=True)
class Training:
    """One task being learned in one folder."""

    task: Task
    folder: Path
    run: Run
    report: Report
    _optimizer: torch.optim.AdamW = field(init=False)

    def __post_init__(self) -> None:
        """Take up what is in the folder."""
        names = self.task.parameters()
        device = next(iter(names.values())).device
        self._optimizer = torch.optim.AdamW(
            [*names.values()],
            lr=self.run.schedule.rate,
            betas=BETAS,
            weight_decay=WEIGHT_DECAY,
            fused=device.type == "cuda",
        )
        self._resume()

    def train(self, train: Rows, heldout: Rows) -> Run:
        """Learn until the run is over; give what it did."""
        run = self.run
        if not run.judgements:
            self._judge(heldout)  # what was there before
        due = run.schedule.judge_every * len(run.judgements)
        steps = order(train, run.schedule.rows_per_step, run.schedule.seed, run.step)
        try:
            while run.share < 1 and not run.stuck:
                began = time.perf_counter()
                loss = self._step(train, next(steps))
                run.seconds += time.perf_counter() - began
                self._tell(loss)
                if run.share >= due and run.share < 1:
                    due += run.schedule.judge_every
                    self._judge(heldout)
                    self._save()
        except KeyboardInterrupt:
            self._save()
            raise
        if run.judgements[-1].step < run.step:
            self._judge(heldout)
        self._save()
        return run

    def _step(self, train: Rows, chosen: Sequence[int]) -> float:
        run = self.run
        for group in self._optimizer.param_groups:
            group["lr"] = run.schedule.rate * _factor(run.share)
        alike = sorted(chosen, key=train.length)  # little is filled up
        parts = list(_parts(alike, run.schedule.rows_per_pass))
        total = torch.zeros(())
        for part in parts:
            loss, tokens = self.task.learn(train, part)
            (loss * (len(part) / len(chosen))).backward()  # type: ignore[no-untyped-call]
            total = total.to(loss.device) + loss.detach() * (len(part) / len(chosen))
            run.tokens += tokens
        torch.nn.utils.clip_grad_norm_(self.task.parameters().values(), CLIP)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        run.step += 1
        value = float(total)
        if not math.isfinite(value):
            raise EngineError(
                f"the loss became {value} at step {run.step}; what was saved before is in "
                f"{self.folder}. Try again with a lower --rate"
            )
        return value

    def _judge(self, heldout: Rows) -> None:
        with torch.no_grad():
            score, figures = self.task.judge(heldout)
        self.run.judgements.append(Judgement(self.run.step, score, figures))

    def _tell(self, loss: float) -> None:
        run = self.run
        told = [f"step {run.step}", f"loss {loss:.3f}"]
        told.append(f"{run.tokens / max(run.seconds, 1e-9):,.0f} tokens/s")
        if run.judgements:
            figures = run.judgements[-1].figures
            told.append("held out: " + ", ".join(f"{k} {v:.3f}" for k, v in figures.items()))
        self.report(Progress("training", "; ".join(told), round(1000 * run.share), 1000))

    def _save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.detach() for name, tensor in self.task.parameters().items()}
        state = self._optimizer.state
        for name, tensor in self.task.parameters().items():
            for key, value in state[tensor].items():
                tensors[f"{key}:{name}"] = value.detach().cpu().clone()
        path = self.folder / f"{STATE}.safetensors"
        unfinished = path.with_suffix(".tmp")
        save_file({name: one.cpu().contiguous() for name, one in tensors.items()}, unfinished)
        unfinished.replace(path)
        (self.folder / f"{STATE}.json").write_bytes(msgspec.json.encode(self.run))

    def _resume(self) -> None:
        """Take up the state in the folder. Raises EngineError where it is of another run."""
        path = self.folder / f"{STATE}.json"
        if not path.exists():
            return
        found = msgspec.json.decode(path.read_bytes(), type=Run)
        if _lasting(found.schedule) != _lasting(self.run.schedule):
            raise EngineError(
                f"{self.folder} holds a run with other settings ({found.schedule}); name another "
                "--out, or the same settings to go on with it. Nothing was changed"
            )
        tensors = load_file(self.folder / f"{STATE}.safetensors")
        found.schedule = self.run.schedule
        self.run = found
        for name, tensor in self.task.parameters().items():
            with torch.no_grad():
                tensor.copy_(tensors[name])
            kept = {key: value for key in ("exp_avg", "exp_avg_sq", "step")
                    if (value := tensors.get(f"{key}:{name}")) is not None}  # fmt: skip
            if kept:
                placed: dict[str, Any] = {
                    key: value.to(tensor.device) for key, value in kept.items()
                }
                self._optimizer.state[tensor] = placed


def _lasting(schedule: Schedule) -> Schedule:
    """Give what must stay the same from one part of a run to the next."""
    return msgspec.structs.replace(
        schedule, minutes=0.0, steps=0, rows_per_pass=0, patience=0, judge_every=0.0
    )


def _factor(share: float) -> float:
    """Give the share of the highest learning rate: up within the warm-up, then down a cosine."""
    if share < WARM_UP:
        return max(share, 1e-3) / WARM_UP
    done = (share - WARM_UP) / (1 - WARM_UP)
    return LEAST_RATE + (1 - LEAST_RATE) * (1 + math.cos(math.pi * done)) / 2


def _parts(chosen: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(chosen), size):
        yield chosen[start : start + size]
