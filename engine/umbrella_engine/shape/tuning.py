"""What `umbrella tune` measured of one pair on one device in one dtype, as a JSON file.

Knows where in a directory it lies and whether it is about the models at hand; measures nothing.
"""

import re
from pathlib import Path
from typing import Final

import msgspec

from umbrella_engine.errors import EngineError
from umbrella_engine.shape import Shape
from umbrella_engine.shape.calibration import Calibration
from umbrella_engine.shape.choice import Plan
from umbrella_engine.shape.costs import Costs, Prices

FORMAT: Final = 1


class Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a tuning is about."""

    pair: str
    target: str  # name of the model folder
    draft: str  # "" without one
    device: str
    dtype: str

    def file(self, directory: Path) -> Path:
        """Give the place of its tuning: one file for a pair, a device and a dtype."""
        name = "_".join((self.pair, self.device, self.dtype))
        return directory / (re.sub(r"[^A-Za-z0-9._-]+", "-", name) + ".json")


class Tuning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Measurements and what follows from them."""

    subject: Subject
    date: str  # ISO 8601
    acceptance: tuple[float, ...]  # by rank; empty without a draft model
    calibration: Calibration
    costs: Costs
    plans: tuple[Plan, ...]  # what was compared, as measured
    chosen: Plan
    tree: Shape  # the best static tree, whether chosen or not
    format: int = FORMAT

    @property
    def prices(self) -> Prices:
        """Prices at the pace of the chosen plan."""
        first = self.acceptance[0] if self.acceptance else 0.0
        return Prices(self.costs, 1 / self.chosen.ms_per_token, first)


def write(tuning: Tuning, directory: Path) -> Path:
    """Store a tuning instead of an earlier one of its subject; gives its file."""
    path = tuning.subject.file(directory)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(tuning)))
    partial.replace(path)
    return path


def read(subject: Subject, directory: Path) -> Tuning | None:
    """Give the tuning of `subject`; None where there is none or the models are others now.

    Raises EngineError where the file cannot be read.
    """
    path = subject.file(directory)
    if not path.exists():
        return None
    try:
        tuning = msgspec.json.decode(path.read_bytes(), type=Tuning)
    except (OSError, msgspec.DecodeError, ValueError) as error:
        raise EngineError(
            f"the tuning {path} cannot be used ({error}); `umbrella tune` makes it anew"
        ) from None
    same = tuning.subject == subject and tuning.format == FORMAT
    return tuning if same else None
