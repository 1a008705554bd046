"""A model on this machine: a folder of safetensors as it is, or a GGUF file to import.

The user's own files are read and never changed.
"""

from dataclasses import dataclass
from pathlib import Path

from umbrella_engine.errors import WeightsError
from umbrella_engine.interface import Progress, Report
from umbrella_engine.sources.folder import missing_from
from umbrella_engine.sources.gguf_import import GgufImport
from umbrella_engine.sources.stamps import FileStamp, stamp_file, unchanged


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A path that the user named."""

    path: Path
    sha256: str  # of a GGUF file; "": any content is right
    directory: Path  # where an imported GGUF is kept

    def __str__(self) -> str:
        return str(self.path)

    def obtain(self, report: Report) -> Path:
        """Give the model folder. Raises WeightsError and UnsupportedModel."""
        if self.path.is_dir():
            if lacks := missing_from(self.path):
                raise WeightsError(f"the folder has no {lacks}")
            return self.path
        if not self.path.is_file():
            raise WeightsError("there is no such file or folder")
        if self.path.suffix == ".safetensors":
            raise WeightsError("is one file of a model; name the folder that it is in")
        return self._imported(report)

    def _imported(self, report: Report) -> Path:
        gguf = GgufImport(self.path, self.directory)
        source = self._source(gguf.origin(), report)
        if self.sha256 and source.sha256 != self.sha256:
            raise WeightsError(f"has the SHA-256 {source.sha256}, not {self.sha256}")
        if source == gguf.origin() and (found := gguf.find()):
            return found
        return gguf.obtain(source, report)

    def _source(self, origin: FileStamp | None, report: Report) -> FileStamp:
        try:
            known = unchanged(self.path, origin) if origin else None
            if known is None:
                report(Progress("converting", f"reading {self.path.name}"))
                known = stamp_file(self.path)
        except OSError as error:
            raise WeightsError(f"cannot be read: {error.strerror}") from error
        return known
