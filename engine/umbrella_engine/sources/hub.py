"""A model folder from the Hugging Face hub, or from its cache where another tool brought it.

The hub's own client lists the files and knows the user's token; the bytes come through `download`,
because `snapshot_download` throws unfinished files away (huggingface_hub 2.4) and a file of 5 GB
should not start again after a closed laptop.
"""

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from umbrella_engine.errors import WeightsError
from umbrella_engine.interface import Progress, Report
from umbrella_engine.sources.disk import explained, in_mb, locked, remove, require_room
from umbrella_engine.sources.folder import missing_from, wanted
from umbrella_engine.sources.stamps import (
    problem,
    read_stamp,
    sha256_of,
    stamp_path,
    write_stamp,
)

if TYPE_CHECKING:
    from umbrella_engine.sources.download import Arrived, Network

log = logging.getLogger(__name__)

RECIPE: Final = "files of the hub"
REPOSITORY: Final = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a repository at one commit."""

    name: str
    size: int  # bytes
    sha256: str  # "" for small files, which the hub does not hash
    url: str


@dataclass(frozen=True, slots=True)
class HubModel:
    """One repository, with the folder where it is kept once it is here."""

    repository: str
    revision: str
    directory: Path

    def __str__(self) -> str:
        return f"{self.repository} on the Hugging Face hub"

    @property
    def path(self) -> Path:
        """Where the folder is kept."""
        branch = "" if self.revision == "main" else f"@{self.revision.replace('/', '--')}"
        return self.directory / "hub" / f"{self.repository}{branch}"

    def find(self) -> Path | None:
        """Give the folder where it is here and whole, without the network."""
        if self.path.is_dir() and not problem(self.path, RECIPE):
            return self.path
        return self._cached_elsewhere()

    def is_here(self) -> bool:
        """Whether the model can be had without the network."""
        return self.find() is not None

    def obtain(self, report: Report, *, offline: bool) -> Path:
        """Give the folder, fetching what is missing or damaged.

        Raises WeightsError; what was downloaded so far is kept for the next try.
        """
        if not REPOSITORY.fullmatch(self.repository):
            raise WeightsError(f"{self.repository} is no repository id, such as owner/name")
        with locked(self.directory / "locks", self.repository.replace("/", "--"), report):
            if found := self.find():
                return found
            if offline:
                raise WeightsError("is not here yet, and models.offline is set")
            if read_stamp(self.path):
                wrong = problem(self.path, RECIPE)
                log.warning("%s %s; it is fetched again", self.path, wrong)
                report(Progress("downloading", f"{self.path.name} {wrong}; fetching it again"))
            report(Progress("downloading", f"asking for {self}"))
            files, network = self._list()
            with explained(self.path, str(self)):
                remove(stamp_path(self.path))
                self._fetch(files, network, report)
                write_stamp(self.path, RECIPE, hashes={f.name: f.sha256 for f in files})
            return self.path

    def _cached_elsewhere(self) -> Path | None:
        from huggingface_hub import try_to_load_from_cache

        config = try_to_load_from_cache(self.repository, "config.json", revision=self.revision)
        if isinstance(config, str) and not missing_from(Path(config).parent):
            return Path(config).parent
        return None

    def _list(self) -> tuple[list[HubFile], "Network"]:
        from huggingface_hub import HfApi, get_token, hf_hub_url

        from umbrella_engine.sources.download import Network

        try:
            info = HfApi().model_info(self.repository, revision=self.revision, files_metadata=True)
        except Exception as error:  # the client's HTTP library changes with its versions
            raise WeightsError(_first_line(error)) from error
        files = [
            HubFile(
                name=file.rfilename,
                size=file.size or 0,
                sha256=file.lfs.sha256 if file.lfs else "",
                url=hf_hub_url(self.repository, file.rfilename, revision=info.sha),
            )
            for file in info.siblings or []
            if wanted(file.rfilename)
        ]
        if not any(file.name.endswith(".safetensors") for file in files):
            raise WeightsError(
                "the repository has no model*.safetensors; for a GGUF file, download it and name "
                "it with path"
            )
        token = get_token()
        return files, Network(headers={"Authorization": f"Bearer {token}"} if token else {})

    def _fetch(self, files: list[HubFile], network: "Network", report: Report) -> None:
        from umbrella_engine.sources.download import ByteProgress

        self.path.mkdir(parents=True, exist_ok=True)
        missing = [file for file in files if not self._has(file)]
        total = sum(file.size for file in missing)
        begun = sum(self._part(f).stat().st_size for f in missing if self._part(f).exists())
        size = in_mb(total - begun)
        require_room(self.path, total - begun, f"{self}, {size} to download,")
        progress = ByteProgress(report, f"downloading {size} of weights: {self}")

        def after(done: int) -> "Arrived":
            return lambda here, _total: progress(done + here, total)

        done = 0
        for file in missing:
            self._fetch_file(file, network, after(done))
            done += file.size
        for leftover in self.path.glob("*.part"):  # of an older commit
            remove(leftover)
        if lacks := missing_from(self.path):
            raise WeightsError(f"the repository has no {lacks}")

    def _fetch_file(self, file: HubFile, network: "Network", arrived: "Arrived") -> None:
        from umbrella_engine.sources.download import download

        part = self._part(file)

        def begin(coming: int, _total: int) -> "Arrived":
            require_room(self.path, coming, file.name)
            return arrived

        try:
            download(file.url, part, network, begin)
        except OSError:
            remove(part)  # a disk without room is worse for its owner than a second download
            raise
        if part.stat().st_size != file.size or (file.sha256 and sha256_of(part) != file.sha256):
            remove(part)
            raise WeightsError(f"{file.name} came damaged and was thrown away; try again")
        part.replace(self.path / file.name)

    def _part(self, file: HubFile) -> Path:
        return self.path / f"{file.name}.{file.sha256[:8] or file.size}.part"

    def _has(self, file: HubFile) -> bool:
        """Whether a file is here already; small ones are rather fetched again than trusted."""
        path = self.path / file.name
        return (
            bool(file.sha256)
            and path.is_file()
            and path.stat().st_size == file.size
            and sha256_of(path) == file.sha256
        )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
