"""A model with an adapter merged into it, kept beside the model it was made from.

Made once, and again when either of the two has changed; the two are read and never changed.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from umbrella_engine.interface import Report
from umbrella_engine.sources.disk import explained, locked, remove, require_room
from umbrella_engine.sources.stamps import problem, stamp_path, write_stamp

RECIPE: Final = "adapter merge 1"  # counted up when the folder's content changes


@dataclass(frozen=True, slots=True)
class AdaptedModel:
    """The folder below `directory` that `base` and `adapter` become."""

    base: Path
    adapter: Path
    directory: Path

    @property
    def path(self) -> Path:
        """Where the folder is kept."""
        key = hashlib.sha256(os.fsencode(self.base) + b"\0" + os.fsencode(self.adapter)).hexdigest()
        return self.directory / "adapted" / key[:8] / f"{self.base.name}-{self.adapter.name}"

    def obtain(self, report: Report) -> Path:
        """Give the folder. Raises WeightsError and ModelMismatch."""
        from umbrella_engine.adapter import merge

        recipe = f"{RECIPE}: {self._origin()}"
        with locked(self.directory / "locks", f"{self.path.name}-{self.path.parent.name}", report):
            if not problem(self.path, recipe):
                return self.path
            with explained(self.path.parent, self.path.name):
                require_room(self.path.parent, _size(self.base), f"the adapted {self.base.name}")
                unfinished = self.path.with_name(self.path.name + ".tmp")
                for old in (unfinished, stamp_path(self.path), self.path):
                    remove(old)
                unfinished.mkdir(parents=True)
                try:
                    merge(self.base, self.adapter, unfinished, report)
                    unfinished.replace(self.path)
                finally:
                    remove(unfinished)
                write_stamp(self.path, recipe)
        return self.path

    def _origin(self) -> str:
        """Tell the state of both by the sizes and times of their files."""
        digest = hashlib.sha256()
        for folder in (self.base, self.adapter):
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                found = path.stat()
                digest.update(f"{path.name} {found.st_size} {found.st_mtime_ns}\n".encode())
        return digest.hexdigest()[:16]


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
