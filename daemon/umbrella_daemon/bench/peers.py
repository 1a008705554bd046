"""`umbrella bench peers`: this engine and others over the same weights, taking turns in one run."""

import dataclasses
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from umbrella_daemon.bench import transformers_peer
from umbrella_daemon.bench.code import Holes, ask_of
from umbrella_daemon.bench.http_peers import LlamaWriter, OpenAIWriter, models
from umbrella_daemon.bench.llama_server import LlamaServer
from umbrella_daemon.bench.result import BenchError, Figure
from umbrella_daemon.bench.session import Session
from umbrella_daemon.bench.stamp import available_cores, hashed
from umbrella_daemon.bench.writing import Account, Ask, Record, Writer, race
from umbrella_daemon.settings import PromptSettings
from umbrella_engine.hardware import choose_device

LLAMA: Final = "llama-server"
TRAINED: Final = {True: "psm", False: "plain"}  # order of the prompt's parts, by what it can


def without_draft(server: LlamaServer) -> LlamaServer:
    """Give the same server without its draft model."""
    return dataclasses.replace(server, draft=None)


def llama_of(
    session: Session, binary: Path | None, gguf: Path | None, draft: Path | None
) -> LlamaServer | None:
    """Say which server to start, None where none is asked for. Raises BenchError."""
    if binary is None:
        return None
    own = Path(session.loader.pair.target.path or ".").expanduser()
    model = gguf or (own if own.suffix == ".gguf" else None)
    if model is None:
        raise BenchError("--llama-server needs --gguf FILE: the pair has no GGUF file of its own")
    return LlamaServer(binary, model, draft, threads=available_cores())


@dataclass
class Race:
    """Who takes part."""

    session: Session
    modes: Sequence[str]
    server: LlamaServer | None = None
    addresses: Sequence[str] = ()  # of servers that speak OpenAI's completions

    def __post_init__(self) -> None:
        """Refuse ways that nobody knows."""
        if unknown := set(self.modes) - set(transformers_peer.MODES):
            raise BenchError(
                f"--modes knows no {', '.join(sorted(unknown))}; it takes "
                f"{', '.join(transformers_peer.MODES)}"
            )

    def run(
        self,
        prompts: Path | None,
        repository: Path | None,
        *,
        limit: int,
        seed: int,
        count: int,
        seconds: float,
    ) -> tuple[tuple[dict[str, Figure], ...], tuple[str, ...]]:
        """Let everybody write behind every prompt; give a row each, and notes."""
        session = self.session
        asks = self._asks(Holes(prompts, repository, limit, seed), count)
        with ExitStack() as stack:
            writers = [*self._writers(), *self._served(stack)]
            session.begin()
            rows = self._race(writers, asks, count, seconds)
        return rows, self._notes()

    def _race(
        self, writers: Sequence[Writer], asks: Sequence[Ask], count: int, seconds: float
    ) -> tuple[dict[str, Figure], ...]:
        accounts, record = {writer.name: Account() for writer in writers}, Record()
        for _, answers in race(writers, asks, count, seconds, self.session.advanced, record):
            first = answers[writers[0].name].tokens
            for name, written in answers.items():
                accounts[name].written.append(written)
                accounts[name].same += written.tokens == first
        return tuple(
            accounts[writer.name].figures(writer.name) | record.figures(writer.name)
            for writer in writers
        )

    def _served(self, stack: ExitStack) -> list[Writer]:
        """Start what is to be started and give the writers of all servers."""
        writers: list[Writer] = []
        if self.server is not None:
            servers = {LLAMA: without_draft(self.server)}
            if self.server.draft is not None:
                servers[f"{LLAMA} with a draft"] = self.server
            for name, server in servers.items():
                writers.append(LlamaWriter(name, stack.enter_context(server.running())))
                self.session.extra_files.append(hashed(name, server.model))
        for address in self.addresses:
            (model, *_) = models(address) or [""]
            name = f"{model or 'model'} at {address}"
            writers.append(OpenAIWriter(name, address, model, self.session.engine.tokenizer))
        return writers

    def _asks(self, holes: Holes, count: int) -> list[Ask]:
        """Lay holes out as models were trained, the longest first: a compiled peer grows once."""
        engine = self.session.engine
        layout = TRAINED[engine.tokenizer.fim is not None]
        settings = replace(self.session.settings.prompt, layout=layout, healing="none")
        return self._longest_first(holes, settings, count)

    def _longest_first(self, holes: Holes, settings: PromptSettings, count: int) -> list[Ask]:
        engine = self.session.engine
        asks = [
            ask_of(hole, engine.tokenizer, settings, engine.info.context_tokens, count)
            for hole in holes.cut()
        ]
        longest = max(range(len(asks)), key=lambda place: len(asks[place].ids))
        return [asks.pop(longest), *asks]

    def _writers(self) -> list[Writer]:
        session = self.session
        ours: list[Writer] = [*session.writers(plain=True)]
        engine, folders = session.engine, session.loader.folders()
        fim = engine.tokenizer.fim
        prompt_ids = set() if fim is None else {fim.prefix, fim.suffix, fim.middle}
        theirs = transformers_peer.writers(
            folders["target"],
            folders.get("draft"),
            device=str(choose_device(session.settings.engine.device)),
            dtype=engine.info.dtype,
            # transformers' prompt lookup writes nothing where the prompt ends in a stop token
            stop_ids=engine.tokenizer.stop_ids - prompt_ids,
            modes=self.modes,
        )
        return [*ours, *theirs]

    def _notes(self) -> tuple[str, ...]:
        notes = ["same text: as the first row's, token for token; low precision may flip near ties"]
        device = choose_device(self.session.settings.engine.device)
        if "static cache" in self.modes and device.type == "cpu":
            notes.append(
                "on a CPU transformers does not compile its static cache by itself; "
                f'--modes "{transformers_peer.COMPILED}" does'
            )
        if self.server is not None:
            notes.append(
                f"{LLAMA} computes with the quantised weights of {self.server.model.name}; ours "
                "and transformers' with the same ones dequantised, which are larger to read"
            )
        return tuple(notes)
