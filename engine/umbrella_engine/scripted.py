"""An engine that replays canned answers behind the verbs of `interface.Engine`, without weights.

It exists so that the daemon and the editors are tested as they are, in real processes, and answers
are known beforehand. Its counters are real: what was reused, prefilled and accepted is what it did.
It knows nothing of files or environment; see `script.py`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from umbrella_engine.errors import Cancelled, ContextOverflow
from umbrella_engine.interface import (
    GREEDY,
    ChatFormat,
    EngineInfo,
    FimTokens,
    Limits,
    Sampling,
    Step,
)
from umbrella_engine.stats import Stats, Verified
from umbrella_engine.tree import chain

END: Final = 256
FIM: Final = FimTokens(prefix=257, suffix=258, middle=259, pad=260)
VOCAB_SIZE: Final = 261
CONTROLS: Final = {"<|end|>": END, "<|fim_prefix|>": FIM.prefix, "<|pad|>": 260}
NO_CHAT: Final = ChatFormat(controls=CONTROLS)
INFO: Final = EngineInfo("scripted", "scripted", "", "cpu", "bytes", context_tokens=2**20, lanes=4)


@dataclass(frozen=True, slots=True)
class ScriptedTokenizer:
    """One token a byte, and a few control tokens above them."""

    fim: FimTokens | None = None
    bos_id: int | None = None
    vocab_size: int = VOCAB_SIZE
    stop_ids: frozenset[int] = frozenset(range(END, VOCAB_SIZE))
    chat: ChatFormat = NO_CHAT

    def encode(self, text: str) -> list[int]:
        """Bytes of `text`."""
        return list(text.encode())

    def token_bytes(self, token: int) -> bytes:
        """Byte of `token`; empty for control tokens."""
        return bytes((token,)) if token < END else b""

    def before_cursor(self, ids: Sequence[int]) -> bytes:
        """Bytes before the cursor in a prompt, plain or fill-in-the-middle."""
        ids = list(ids)
        if FIM.middle in ids:
            middle, suffix = ids.index(FIM.middle), _index(ids, FIM.suffix)
            # in both orders, prefix-suffix-middle and suffix-prefix-middle
            start = _index(ids, FIM.prefix) + 1
            end = suffix if suffix >= start else middle
            ids = ids[start:end] + ids[middle + 1 :]
        return bytes(ids if max(ids, default=0) < END else [one for one in ids if one < END])


@dataclass(slots=True)
class ScriptedEngine:
    """Continues each prompt with what `answer` gives for the text before the cursor."""

    answer: Callable[[str], str]
    tokens_per_step: int = 4
    step_ms: float = 0.0  # what one forward pass takes
    tokenizer: ScriptedTokenizer = field(default_factory=ScriptedTokenizer)
    info: EngineInfo = INFO
    others: Callable[[str], Sequence[str]] = lambda _: ()  # further answers, worse ones
    logprob: float = 0.0  # of every token; 0 is certainty
    remembered: dict[str, list[int]] = field(default_factory=dict)  # by name, the latest last
    _cached: list[int] = field(default_factory=list)  # ids whose "keys and values" are kept
    _offered: dict[tuple[int, ...], bytes] = field(default_factory=dict)  # by ids: what follows

    def generate(
        self,
        ids: Sequence[int],
        limits: Limits,
        cancelled: Callable[[], bool],
        *,
        owed: bytes = b"",
        stats: Stats | None = None,
        sampling: Sampling = GREEDY,
    ) -> Iterator[Step]:
        """Yield the canned continuation of `ids`, however sampled; see `interface.Engine`."""
        stats = stats if stats is not None else Stats()
        self._check(ids, limits)
        stats.prompt_tokens = len(ids)
        with stats.stage("prefill"):
            self._prefill(ids, cancelled, stats)
        answer = None if owed else self._offered.get(tuple(ids))
        if answer is None:
            answer = self.answer(self._known(ids, owed)).encode()
        tokens = [*owed, *answer, END][: limits.max_tokens]
        for start in range(0, len(tokens), self.tokens_per_step):
            with stats.stage("verify"):
                self._forward(cancelled)
            block = tokens[start : start + self.tokens_per_step]
            self._cached += block
            stats.target_steps += 1
            stats.drafted_tokens += self.tokens_per_step - 1
            stats.accepted_tokens += len(block) - 1
            if stats.verified is not None:
                drafted = chain(block[:-1], "scripted")
                stats.verified.append(Verified(drafted, tuple(range(len(drafted))), block[-1]))
            shown = block[: _index(block, END)] if END in limits.stop_ids else block
            stats.generated_tokens += len(shown)
            if shown:
                yield Step(tuple(shown), (self.logprob,) * len(shown))

    def alternatives(
        self,
        ids: Sequence[int],
        count: int,
        cancelled: Callable[[], bool],
        *,
        owed: bytes = b"",
    ) -> list[int]:
        """Give the first bytes of the canned continuations; see `interface.Engine`."""
        self._check(ids, Limits(1))
        self._prefill(ids, cancelled, Stats())
        known = self._known(ids, owed)
        found: dict[int, bytes] = {}
        for text in (self.answer(known), *self.others(known)):
            token, *rest = *owed, *text.encode(), END
            found.setdefault(token, bytes(rest[:-1]))
        best = list(found)[:count]
        self._offered = {} if owed else {(*ids, token): found[token] for token in best}
        return best

    def remember(self, name: str, ids: Sequence[int]) -> None:
        """Note text that may be repeated; see `interface.Engine`."""
        self.remembered.pop(name, None)
        if ids:
            self.remembered[name] = list(ids)

    def _known(self, ids: Sequence[int], owed: bytes) -> str:
        """Text before the cursor."""
        return (self.tokenizer.before_cursor(ids) + owed).decode(errors="replace")

    def _check(self, ids: Sequence[int], limits: Limits) -> None:
        if len(ids) + limits.max_tokens > self.info.context_tokens:
            raise ContextOverflow(
                f"a prompt of {len(ids)} tokens and {limits.max_tokens} new ones do not fit into "
                f"{self.info.context_tokens}; shorten it"
            )

    def _prefill(self, ids: Sequence[int], cancelled: Callable[[], bool], stats: Stats) -> None:
        # The last token is always computed: its output starts the answer.
        ids = list(ids)
        stats.reused_tokens = min(_common_prefix(self._cached, ids), max(len(ids) - 1, 0))
        self._forward(cancelled)
        self._cached = ids
        stats.prefilled_tokens = len(ids) - stats.reused_tokens

    def _forward(self, cancelled: Callable[[], bool]) -> None:
        if cancelled():
            raise Cancelled("the request was cancelled")
        if self.step_ms:
            time.sleep(self.step_ms / 1e3)


def _index(ids: Sequence[int], token: int) -> int:
    """Place of the first `token`, the length without one."""
    return ids.index(token) if token in ids else len(ids)


def _common_prefix(left: list[int], right: list[int]) -> int:
    """Length of the common start, by halving: slices compare fast."""
    known, limit = 0, min(len(left), len(right))
    while known < limit:
        middle = (known + limit + 1) // 2
        if left[known:middle] == right[known:middle]:
            known = middle
        else:
            limit = middle - 1
    return known
