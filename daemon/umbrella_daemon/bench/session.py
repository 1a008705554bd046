"""One call of a benchmark: the settings, the loaded pair, what is shown meanwhile, the result."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from umbrella_daemon.bench.ours import DRAFTED, PLAIN, EngineWriter, Loader, subject_of
from umbrella_daemon.bench.result import Figure, Result, Subject
from umbrella_daemon.bench.stamp import File, Stamp, stamp
from umbrella_daemon.settings import Settings
from umbrella_engine.interface import GREEDY, Engine, Progress, Sampling

if TYPE_CHECKING:
    from umbrella_daemon.bench.writing import Advanced


@dataclass
class Session:
    """Holds what the benchmarks of a pair have in common; loads on first use."""

    settings: Settings
    command: str
    advanced: "Advanced"
    commit: str = ""  # where git does not know
    extra_files: list[File] = field(default_factory=list)
    _stamp: Stamp | None = None

    @cached_property
    def loader(self) -> Loader:
        """The pair of the settings, found."""
        return Loader(self.settings, self._report)

    @cached_property
    def engine(self) -> Engine:
        """The pair as the daemon loads it."""
        return self.loader.engine()

    def writers(self, *, plain: bool) -> list[EngineWriter]:
        """Give ours, greedy; and without drafts where `plain`."""
        return self.ways((GREEDY,), plain=plain)[0]

    def ways(self, sampling: Sequence[Sampling], *, plain: bool) -> list[list[EngineWriter]]:
        """Give ours for each way of choosing tokens; and without drafts where `plain`."""
        engines = {DRAFTED: self.engine}
        if plain:
            engines[PLAIN] = self.loader.engine(drafts=False)
        return [
            [
                EngineWriter(_named(name, way), engine, engine.tokenizer.stop_ids, way)
                for name, engine in engines.items()
            ]
            for way in sampling
        ]

    def begin(self, device: str | None = None) -> None:
        """Note machine and load now, before what is measured makes its own.

        `device` is what is measured on; without it, the engine's of this session.
        """
        gpu = (device or self.engine.info.device).startswith("cuda")
        files = (*self.loader.files(), *self.extra_files)
        self._stamp = stamp(files, gpu=gpu, commit=self.commit)

    def result(
        self,
        bench: str,
        rows: tuple[dict[str, Figure], ...],
        *,
        notes: tuple[str, ...] = (),
        series: dict[str, dict[str, list[float]]] | None = None,
        subject: Subject | None = None,
    ) -> Result:
        """Put a result together; its subject is this session's engine unless it is given."""
        assert self._stamp is not None, "begin before measuring"
        subject = subject or subject_of(self.engine)
        return Result(bench, self._stamp, subject, self.command, rows, series or {}, notes)

    def _report(self, progress: Progress) -> None:
        percent = progress.done * 100 // progress.total if progress.total else 0
        self.advanced(progress.message, percent)


def _named(name: str, way: Sampling) -> str:
    return name if way.temperature == 0 else f"{name}, T = {way.temperature:g}"
