"""transformers' ways of writing, over the same weights: plain, static cache, assisted, lookup.

Each is asked as its documentation says, in the engine's precision, on the engine's device.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from umbrella_daemon.bench.writing import Ask, Writer, WriterFailed, Written

LOOKUP_TOKENS: Final = 10  # as transformers' own documentation has it
COMPILED: Final = "static cache compiled"
MODES: Final = ("generate", "static cache", COMPILED, "prompt lookup", "assisted")
REASON_CHARACTERS: Final = 120
BY_ITSELF: Final = "on this device transformers compiles its static cache by itself: see that row"
NO_DRAFT: Final = "the pair has no draft model"


@dataclass(frozen=True, slots=True)
class TransformersWriter:
    """One way of calling `generate`, greedy."""

    name: str
    module: Any
    stop_ids: tuple[int, ...]
    options: Mapping[str, Any]

    def write(self, ask: Ask, count: int) -> Written:
        """Give at most `count` new tokens; a forward pass counts once for each call back.

        Raises WriterFailed with the first line of whatever goes wrong in it.
        """
        try:
            return self._write(ask, count)
        except Exception as error:  # another's code, and compilers below it
            raise WriterFailed(reason_of(error)) from error

    def _write(self, ask: Ask, count: int) -> Written:
        import torch

        text = torch.tensor([list(ask.ids)], device=self.module.device)
        clock = _Clock()
        with torch.no_grad():
            self.module.generate(
                text,
                attention_mask=torch.ones_like(text),
                max_new_tokens=count,
                do_sample=False,
                eos_token_id=list(self.stop_ids),
                pad_token_id=self.stop_ids[0],
                streamer=clock,
                **self.options,
            )
        return clock.written(set(self.stop_ids))


@dataclass(frozen=True, slots=True)
class Absent:
    """A way that cannot be gone here; its row says why."""

    name: str
    reason: str

    def write(self, ask: Ask, count: int) -> Written:
        """Raise WriterFailed."""
        raise WriterFailed(self.reason)


class _Clock:
    """What `generate` hands tokens to; the first call is the prompt."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._steps: list[tuple[float, list[int]]] = []
        self._prompt_seen = False

    def put(self, tokens: Any) -> None:
        """Take the tokens of one step."""
        if self._prompt_seen:
            self._steps.append((time.perf_counter(), tokens.flatten().tolist()))
        self._prompt_seen = True

    def end(self) -> None:
        """Nothing is left open."""

    def written(self, stops: set[int]) -> Written:
        """Give what came, without the token that ended it."""
        total = (time.perf_counter() - self._began) * 1e3
        tokens = [token for _, some in self._steps for token in some]
        if tokens and tokens[-1] in stops:
            tokens.pop()
        first = (self._steps[0][0] - self._began) * 1e3 if self._steps else total
        return Written(
            tokens=tokens,
            first_tokens=min(len(tokens), len(self._steps[0][1])) if self._steps else 0,
            first_ms=first,
            total_ms=total,
            steps=len(self._steps),
        )


def writers(
    target: Path,
    draft: Path | None,
    *,
    device: str,
    dtype: str,
    stop_ids: Iterable[int],
    modes: Iterable[str],
) -> list[Writer]:
    """Load the models and give a writer for each of `modes`; one that cannot be only fails.

    On a CPU transformers compiles nothing unless it is told to.
    """
    module = _load(target, device, dtype)
    stops = tuple(sorted(stop_ids))
    found: list[Writer] = []
    for mode in (one for one in MODES if one in modes):
        name = f"transformers, {mode}"
        options = _options(mode, draft, device, dtype)
        found.append(
            Absent(name, options)
            if isinstance(options, str)
            else TransformersWriter(name, module, stops, options)
        )
    return found


def reason_of(error: Exception) -> str:
    """Say in one short line what went wrong."""
    (first, *_) = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {first}"[:REASON_CHARACTERS]


def _options(mode: str, draft: Path | None, device: str, dtype: str) -> Mapping[str, Any] | str:
    """Give what `generate` is told in this way, or why it cannot be gone."""
    if mode == "assisted":
        return _assistant(draft, device, dtype)
    if mode == COMPILED:
        return _compiled(device)
    known: dict[str, dict[str, Any]] = {
        "generate": {},
        "static cache": {"cache_implementation": "static"},
        "prompt lookup": {"prompt_lookup_num_tokens": LOOKUP_TOKENS},
    }
    return known[mode]


def _assistant(draft: Path | None, device: str, dtype: str) -> Mapping[str, Any] | str:
    if draft is None:
        return NO_DRAFT
    try:
        return {"assistant_model": _load(draft, device, dtype)}
    except Exception as error:  # as in `write`
        return reason_of(error)


def _compiled(device: str) -> Mapping[str, Any] | str:
    if not device.startswith("cpu"):
        return BY_ITSELF
    from transformers import CompileConfig

    config = CompileConfig()
    config._compile_all_devices = True  # type: ignore[assignment]  # their only switch for CPUs
    return {"cache_implementation": "static", "compile_config": config}


def _load(folder: Path, device: str, dtype: str) -> Any:
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    loaded: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    return loaded.to(device).eval()
