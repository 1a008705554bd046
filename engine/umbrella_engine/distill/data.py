"""Rows on disk: a folder with two safetensors files and a `corpus.json` that tells their origin.

Promises batches in an order that the seed gives, at any point of which training can resume.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor

from umbrella_engine.distill.rows import Row
from umbrella_engine.errors import WeightsError

NAMES: Final = ("train", "heldout")


class Source(msgspec.Struct, frozen=True):
    """One repository that rows come from."""

    name: str
    licence: str
    heldout: bool
    files: int
    bytes: int


class About(msgspec.Struct, frozen=True):
    """Where rows come from, for cards."""

    target: str
    sentinels: dict[str, int]  # fill-in-the-middle tokens by spelling
    seed: int
    row_tokens: int
    rows: int
    tokens: int
    heldout_rows: int
    languages: dict[str, int]  # bytes
    left_out: dict[str, int]  # files by reason
    sources: list[Source]
    command: str = ""  # that cut them


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in memory, end to end."""

    ids: NDArray[np.int32]  # [all tokens]
    starts: NDArray[np.int64]  # [rows + 1]
    answers: NDArray[np.int32]  # [rows], from the row's start

    def __len__(self) -> int:
        return len(self.answers)

    def length(self, row: int) -> int:
        """Give a row's tokens."""
        return int(self.starts[row + 1] - self.starts[row])

    def batch(self, chosen: Sequence[int]) -> "Batch":
        """Put rows side by side, filled up with zeros behind their ends."""
        lengths = [self.length(row) for row in chosen]
        ids = torch.zeros(len(chosen), max(lengths), dtype=torch.int64)
        for place, (row, length) in enumerate(zip(chosen, lengths, strict=True)):
            ids[place, :length] = torch.from_numpy(self.ids[self.starts[row] :][:length])
        answers = torch.from_numpy(self.answers[list(chosen)].astype(np.int64))
        return Batch(ids, torch.tensor(lengths), answers)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows."""

    ids: Tensor  # [rows, tokens]
    lengths: Tensor  # [rows]
    answers: Tensor  # [rows], where what is to be written begins

    def to(self, device: torch.device) -> "Batch":
        """Give the batch on a device."""
        return Batch(*(one.to(device) for one in (self.ids, self.lengths, self.answers)))

    def next_tokens(self) -> tuple[Tensor, Tensor]:
        """Give masks [rows, tokens - 1]: which positions have a next token, and one of an answer.

        Position p predicts token p + 1.
        """
        places = torch.arange(1, self.ids.shape[1], device=self.ids.device)
        real = places < self.lengths[:, None]
        return real, real & (places >= self.answers[:, None])


def pack(rows: Sequence[Row]) -> Rows:
    """Join rows."""
    lengths = np.array([len(row.ids) for row in rows], dtype=np.int64)
    ids = np.array([token for row in rows for token in row.ids], dtype=np.int32)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    answers = np.array([row.answer for row in rows], dtype=np.int32)
    return Rows(ids, starts, answers)


def save(folder: Path, train: Rows, heldout: Rows, about: About) -> None:
    """Write all rows into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in zip(NAMES, (train, heldout), strict=True):
        small = np.uint16 if rows.ids.max(initial=0) < 2**16 else np.int32
        tensors = {
            "ids": rows.ids.astype(small),
            "lengths": np.diff(rows.starts).astype(np.int32),
            "answers": rows.answers,
        }
        save_file(tensors, folder / f"{name}.safetensors")
    text = msgspec.json.format(msgspec.json.encode(about), indent=1)
    (folder / "corpus.json").write_bytes(text)


def load(folder: Path) -> tuple[Rows, Rows, About]:
    """Read what `save` wrote: rows to learn, rows held out. Raises WeightsError."""
    try:
        about = msgspec.json.decode((folder / "corpus.json").read_bytes(), type=About)
        train, heldout = (_read(folder / f"{name}.safetensors") for name in NAMES)
    except (OSError, KeyError, SafetensorError, msgspec.DecodeError) as error:
        raise WeightsError(
            f"{folder} holds no rows that can be read ({error}); make them with `umbrella distill "
            "rows`"
        ) from error
    return train, heldout, about


def _read(path: Path) -> Rows:
    tensors = load_file(path)
    starts = np.concatenate([[0], np.cumsum(tensors["lengths"], dtype=np.int64)])
    return Rows(tensors["ids"].astype(np.int32), starts, tensors["answers"])


def order(rows: Rows, per_step: int, seed: int, skip: int) -> Iterator[list[int]]:
    """Give the rows of each step from step `skip` on, without end: every turn in a new order."""
    steps = max(1, len(rows) // per_step)
    turn, first = divmod(skip, steps)
    while True:
        shuffled = np.random.default_rng((seed, turn)).permutation(len(rows))
        for step in range(first, steps):
            yield shuffled[step * per_step : (step + 1) * per_step].tolist()
        turn, first = turn + 1, 0


def join(first: Rows, second: Rows) -> Rows:
    """Put rows behind others."""
    return Rows(
        np.concatenate([first.ids, second.ids]),
        np.concatenate([first.starts, second.starts[1:] + first.starts[-1]]),
        np.concatenate([first.answers, second.answers]),
    )
