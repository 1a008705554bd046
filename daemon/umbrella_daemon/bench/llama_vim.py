"""llama.vim's way with llama-server, key by key: the best-known local completion beside ours.

Done as its source does (github.com/ggml-org/llama.vim, January 2026): what is asked, with which
parameters, how long it may take, when a request waits for another, what is kept and looked up again
while it is typed, the request ahead once something is shown, pieces of other places in a ring.
What it draws on a screen is left out. Vocabularies that cannot fill in the middle are asked through
`/completion` with the same text before the cursor, since `/infill` refuses them.
"""

import asyncio
import hashlib
import random
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

import httpx

from umbrella_daemon.bench.replay import Answer, Key, Work
from umbrella_daemon.bench.result import BenchError
from umbrella_daemon.bench.ring import Ring
from umbrella_daemon.bench.text import Text
from umbrella_daemon.typing_trace import Change, Open, Place

N_PREFIX, N_SUFFIX, N_PREDICT = 256, 64, 128  # lines, lines, tokens
MAX_PROMPT_MS, FIRST_PREDICT_MS, AHEAD_PREDICT_MS = 500, 250, 1000
MAX_LINE_SUFFIX: Final = 8  # characters right of the cursor, beyond which nothing is asked
CACHE_KEYS: Final = 250
LOOK_BACK: Final = 128  # characters
BUSY_SECONDS: Final = 0.1  # until a key that found a request under way tries again
JUMP_LINES, RING_SCOPE = 32, 1024
SEED: Final = 11  # its sampling is not greedy; so two runs can be compared
REQUEST_SECONDS: Final = 60.0

Shown = tuple[str, ...]  # lines of a suggestion


@dataclass(frozen=True, slots=True)
class Around:
    """Text around the cursor as the plug-in cuts it."""

    prefix: str
    middle: str
    suffix: str
    indent: int
    right: str  # of the cursor, on its line

    def hashes(self) -> list[str]:
        """Give the keys an answer is kept under: as it is, and without its first lines."""
        prefixes, rest = [self.prefix], self.prefix
        for _ in range(3):
            rest = rest.partition("\n")[2]
            if not rest:
                break
            prefixes.append(rest)
        return [_hash(one + self.middle, self.suffix) for one in prefixes]


def around(text: Text, at: Place) -> Around:
    """Cut the text at the cursor."""
    row, column = at
    line = text.lines[row]
    before, right = line[:column], line[column:]
    indent = len(line) - len(line.lstrip(" \t"))
    if not line.strip():  # such lines are begun anew
        before, right, indent = "", "", 0
    return Around(
        prefix="\n".join(text.lines[max(0, row - N_PREFIX) : row]) + "\n",
        middle=before,
        suffix=right + "\n" + "\n".join(text.lines[row + 1 : row + 1 + N_SUFFIX]) + "\n",
        indent=indent,
        right=right,
    )


def ahead(text: Text, at: Place, shown: Shown, indent: int) -> Around:
    """Cut the text as it would be with all of `shown` accepted."""
    row, _ = at
    line = text.lines[row]
    *_, last = shown
    lines = text.lines[max(0, row - N_PREFIX + len(shown) - 1) : row]
    if len(shown) > 1:
        lines = [*lines, line + shown[0], *shown[1:-1]]
    return Around(
        prefix="\n".join(lines) + "\n",
        middle=line + last if len(shown) == 1 else last,
        suffix="\n" + "\n".join(text.lines[row + 1 : row + 1 + N_SUFFIX]) + "\n",
        indent=indent,
        right="",
    )


class LlamaVim:
    """One Vim window; `keeps` switches its cache and its requests ahead off for comparison."""

    def __init__(self, address: str, *, infills: bool, keeps: bool = True) -> None:
        self.name = "llama.vim + llama-server" if keeps else "llama-server, asked at each key"
        self._infills = infills
        self._keeps = keeps
        self._http = httpx.AsyncClient(base_url=address, timeout=REQUEST_SECONDS, trust_env=False)
        self._texts: dict[str, Text] = {}
        self._document, self._at = "", (0, 0)
        self._cache: OrderedDict[str, str] = OrderedDict()
        self._ring = Ring(random.Random(SEED))
        self._job: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._news = asyncio.Condition()
        self._indent = 0
        self._picked_at = 0  # line of the latest request after which pieces were picked
        self._failure = ""
        self._work = Work()

    async def close(self) -> None:
        """End everything under way."""
        if self._timer is not None:
            self._timer.cancel()
        if self._job is not None:
            self._job.cancel()
            await asyncio.gather(self._job, return_exceptions=True)
        await self._http.aclose()

    async def open(self, event: Open) -> None:
        """Enter a buffer."""
        self._texts[event.document] = Text(event.text)
        await self._enter(event.document)

    async def change(self, event: Change) -> None:
        """Follow an edit."""
        self._texts[event.document].change(event.range, event.text)

    async def focus(self, document: str, at: Place) -> None:
        """Follow the cursor; what waits in the ring's queue is read while nothing is typed."""
        if document != self._document:
            await self._enter(document)
        self._at = at
        if self._infills and self._ring.update() and self._job is None:
            self._start(self._read_ring())

    async def close_document(self, document: str) -> None:
        """Leave a buffer for good."""
        self._texts.pop(document, None)

    async def ask(self, document: str, at: Place) -> Answer:
        """Do what a moved cursor does in insert mode, and wait for what comes of it."""
        if document != self._document:
            await self._enter(document)
        self._at = at
        if not self._keeps:
            await self._forget()
        here = around(self._texts[document], at)
        shown = self._known(here)
        if shown:
            self._speculate(shown)
        if len(here.right) > MAX_LINE_SUFFIX:
            return Answer(shown, "cache") if shown else Answer("", "", "text right of the cursor")
        self._request()
        if shown:
            return Answer(shown, "cache")
        async with self._news:
            while (content := self._cache.get(here.hashes()[0])) is None:
                await self._news.wait()
                self._check()
                if shown := self._known(here):
                    return Answer(shown, "engine")
        return Answer(content, "engine", "" if content.strip() else "empty")

    async def settle(self) -> None:
        """Wait for the request under way and for those that its end starts."""
        async with self._news:
            await self._news.wait_for(lambda: self._job is None and self._timer is None)
        self._check()

    async def explain(self, keys: list[Key]) -> None:
        """Everything was told with the answers."""

    async def work(self) -> Work:
        """Say what the server did, by its own account."""
        return self._work

    async def _enter(self, document: str) -> None:
        """Come into another buffer: its text is a piece for the ring."""
        self._document, self._at = document, (0, 0)
        lines = self._texts[document].lines
        self._ring.pick(document, lines[: self._ring.lines // 2])

    def _known(self, here: Around) -> str:
        """Give what is kept for a state, or for one up to `LOOK_BACK` characters before it."""
        if not self._keeps:
            return ""
        if content := self._look_up(_hash(here.prefix + here.middle, here.suffix)):
            return content
        before, best = here.prefix + here.middle, ""
        for count in range(1, min(LOOK_BACK, len(before)) + 1):
            content = self._look_up(_hash(before[:-count], here.suffix))
            rest = content[count:] if content[:count] == before[-count:] else ""
            best = max(best, rest, key=len)
        return best

    def _look_up(self, key: str) -> str:
        content = self._cache.get(key, "")
        if content:
            self._cache.move_to_end(key)
        return content if content.strip() else ""

    def _speculate(self, shown: str) -> None:
        """Ask ahead, at the end of what is shown, where no request is under way."""
        lines = tuple(shown.rstrip("\n").split("\n"))
        text = self._texts[self._document]
        right = text.lines[self._at[0]][self._at[1] :]
        lines = (*lines[:-1], lines[-1] + right)
        self._send(ahead(text, self._at, lines, self._indent), AHEAD_PREDICT_MS)

    def _request(self) -> None:
        """Ask for where the cursor is now."""
        here = around(self._texts[self._document], self._at)
        if self._job is None and len(here.right) <= MAX_LINE_SUFFIX:
            self._indent = here.indent
            self._ring.drop_like(self._near())
            self._pick_after_a_jump()
        self._send(here, FIRST_PREDICT_MS)

    def _pick_after_a_jump(self) -> None:
        """Take pieces from beyond what a request holds, once the cursor has moved far."""
        row, lines = self._at[0], self._texts[self._document].lines
        if abs(row - self._picked_at) > JUMP_LINES:
            self._ring.pick(
                self._document, lines[max(0, row - RING_SCOPE) : max(0, row - N_PREFIX)]
            )
            self._ring.pick(self._document, lines[row + N_SUFFIX :][: self._ring.lines])
            self._picked_at = row

    def _send(self, here: Around, predict_ms: int) -> None:
        """Send a request, or try again in a moment where one is under way."""
        if self._job is not None:
            if self._timer is not None:
                self._timer.cancel()
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(BUSY_SECONDS, self._again)
            return
        hashes = here.hashes()
        if self._keeps and any(one in self._cache for one in hashes):
            return
        self._start(self._fetch(here, hashes, predict_ms))

    def _again(self) -> None:
        self._timer = None
        self._request()
        if self._job is None:  # what was wanted is there by now
            asyncio.get_running_loop().create_task(self._tell())

    def _start(self, work: Any) -> None:
        self._job = asyncio.create_task(work)
        self._job.add_done_callback(self._over)

    def _over(self, job: "asyncio.Task[None]") -> None:
        if self._job is job:
            self._job = None
        if not job.cancelled() and (error := job.exception()):
            self._failure = str(error) or type(error).__name__
        asyncio.get_running_loop().create_task(self._tell())

    def _check(self) -> None:
        if self._failure:
            raise BenchError(f"llama-server does not answer as it should: {self._failure}")

    async def _forget(self) -> None:
        """Take back what is under way; nothing is kept from key to key."""
        self._cache.clear()
        if self._job is not None:
            self._job.cancel()
            await asyncio.gather(self._job, return_exceptions=True)
            self._job = None
            self._work.taken_back += 1

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def _fetch(self, here: Around, hashes: list[str], predict_ms: int) -> None:
        """Ask the server and keep the answer."""
        ahead = predict_ms == AHEAD_PREDICT_MS
        answer = await self._post(self._body(here, predict_ms), ahead=ahead)
        for key in hashes if self._keeps else hashes[:1]:
            self._cache[key] = answer.get("content", "")
            self._cache.move_to_end(key)
        while len(self._cache) > CACHE_KEYS:
            self._cache.popitem(last=False)

    async def _read_ring(self) -> None:
        body = self._body(Around("", "", "", 0, ""), 1) | {"n_predict": 0, "t_max_prompt_ms": 1}
        await self._post(body, ahead=True)

    async def _post(self, body: dict[str, Any], *, ahead: bool) -> dict[str, Any]:
        response = await self._http.post("/infill" if self._infills else "/completion", json=body)
        answer: dict[str, Any] = response.raise_for_status().json()
        timings = answer.get("timings", {})
        computed, written = timings.get("prompt_n", 0), timings.get("predicted_n", 0)
        if ahead:
            self._work.ahead_prefilled += computed
            self._work.ahead_generated += written
        else:
            self._work.requests += 1
            self._work.prefilled += computed
            self._work.prompt_tokens += computed + timings.get("cache_n", 0)
            self._work.generated += written
            self._work.steps += written
        return answer

    def _body(self, here: Around, predict_ms: int) -> dict[str, Any]:
        """Give a request with the plug-in's parameters."""
        asked: dict[str, Any] = {
            "id_slot": 0,
            "n_predict": N_PREDICT,
            "n_indent": here.indent,
            "top_k": 40,
            "top_p": 0.90,
            "samplers": ["top_k", "top_p", "infill"],
            "stream": False,
            "cache_prompt": True,
            "t_max_prompt_ms": MAX_PROMPT_MS,
            "t_max_predict_ms": predict_ms,
            "seed": SEED,
        }
        if self._infills:
            return asked | {
                "input_prefix": here.prefix,
                "input_suffix": here.suffix,
                "input_extra": self._ring.extra(),
                "prompt": here.middle,
            }
        return asked | {"prompt": here.prefix + here.middle, "samplers": ["top_k", "top_p"]}

    def _near(self) -> list[str]:
        """Give the lines around the cursor that pieces of the ring should not repeat."""
        lines, half = self._texts[self._document].lines, self._ring.lines // 2
        return lines[max(0, self._at[0] - half) : self._at[0] + half]


def _hash(before: str, after: str) -> str:
    return hashlib.sha256(f"{before}\0{after}".encode()).hexdigest()
