"""Steps of greedy decoding that the host only watches: one graph a step, results read one late.

A step grows the draft's tree, adds copies of earlier text, verifies all with the target, walks
down, moves the accepted rows into place, sets the next root and looks for what to copy there,
without the host. Depth 0 without copies is plain decoding.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial

import torch
import triton
from torch import Tensor

from umbrella_engine.cuda.choice import Seen
from umbrella_engine.cuda.compiling import compile_ahead
from umbrella_engine.cuda.decoder import FusedDecoder
from umbrella_engine.cuda.device_loop import MOST_UNREAD, Start
from umbrella_engine.cuda.graphs import Graph
from umbrella_engine.cuda.inputs import MAX_ROWS
from umbrella_engine.cuda.kernels import speculation as kernels
from umbrella_engine.cuda.shapes import TreeShape
from umbrella_engine.cuda.tiles import preset_for

CANDIDATE_BLOCK = 4096  # columns that one program searches for its best
TIMED_STEPS = 8
TEXT_TOKENS = 16384  # of text to copy from, new tokens included; a power of two
PLACES_BLOCK = 1024  # places that one program compares, at most
MOST_MATCHED = 16  # tokens; longer matches are no better guide
HEADER = 4  # numbers of a result before its tokens


class Stepper:
    """A target, and a draft for shapes with levels, stepping together on one device."""

    def __init__(
        self,
        target: FusedDecoder,
        draft: FusedDecoder | None,
        shapes: Collection[TreeShape],
        done: Callable[[int, int], None] = lambda _done, _total: None,
        *,
        compiled: Callable[[int, int], None] = lambda _done, _total: None,
        least_matched: int = 1,
        text_tokens: int = TEXT_TOKENS,
    ) -> None:
        """Capture a graph for each shape; `done` is told how many of how many.

        So is `compiled` of the kernels that are compiled before.

        A copy is offered where `least_matched` tokens before it equal the latest ones.
        """
        self._target, self._draft = target, draft
        self._least_matched = least_matched
        device = target.device
        most = max(MOST_UNREAD, *(shape.longest + 1 for shape in shapes))  # tokens of a result
        self._longest = triton.next_power_of_2(most)
        self._branches = max(len(shape.copied) for shape in shapes)
        self._state = torch.zeros(5, dtype=torch.int64, device=device)
        self._scores = torch.zeros(MAX_ROWS, dtype=torch.float32, device=device)
        self._parents = torch.full((MAX_ROWS,), -1, dtype=torch.int32, device=device)
        self._path = torch.zeros(most + 1, dtype=torch.int64, device=device)
        # log-probabilities lie behind a result, so that both reach the host in one copy
        numbers = HEADER + most + (most + 2) // 2
        self._landing = torch.zeros(numbers, dtype=torch.int64, device=device)
        self._result = self._landing[: HEADER + most]
        self._log_probs = self._landing[HEADER + most :].view(torch.float32)
        self._text = torch.zeros(text_tokens, dtype=torch.int32, device=device)
        self._keys = torch.full((text_tokens,), -1, dtype=torch.int32, device=device)
        places = triton.next_power_of_2(max(1, self._branches))
        self._places = torch.full((places,), -1, dtype=torch.int64, device=device)
        on_gpu = device.type == "cuda"
        self._host_text = torch.zeros(text_tokens, dtype=torch.int32, pin_memory=on_gpu)
        self._uploaded = torch.cuda.Event() if on_gpu else None  # type: ignore[no-untyped-call]
        width = max(shape.width for shape in shapes)
        if draft is not None:
            self._blocks = -(-draft.config.vocab // CANDIDATE_BLOCK)
            size = max(MOST_UNREAD, width) * self._blocks * width
            self._values = torch.empty(size, dtype=torch.float32, device=device)
            self._candidates = torch.empty(size, dtype=torch.int32, device=device)
        if on_gpu:
            compile_ahead([partial(self._launch, shape) for shape in shapes], compiled)
        self.owner: object = None  # whose root the device goes on from
        self.begin(Start(1, (0,), 0, 0), None)
        self._graphs: dict[TreeShape, Graph] = {}
        for count, shape in enumerate(shapes, 1):
            self._graphs[shape] = self._captured(shape)
            done(count, len(shapes))

    def recall(self, text: Sequence[int]) -> int:
        """Let copies be taken from `text`; see `device_loop.Steps`.

        Of one too long the beginning is left out. Waits for the device.
        """
        if not self._branches:
            return 0
        kept = text[-(len(self._host_text) * 3 // 4) :]
        if self._uploaded is not None:
            self._uploaded.synchronize()  # the buffer may still be on its way
        self._host_text[: len(kept)] = torch.tensor(kept, dtype=torch.int32)
        self._text[: len(kept)].copy_(self._host_text[: len(kept)], non_blocking=True)
        self._state[4:].fill_(len(kept))
        if self._uploaded is not None:
            self._uploaded.record()
        self._match()
        return int(self._result[3])

    def begin(self, start: Start, owner: object) -> None:
        """Set the root; steps go on from it until someone else begins."""
        self.owner = owner
        values = [start.length, start.root, start.lane, start.draft_lane]
        self._state[:4].copy_(torch.tensor(values))
        settled = [len(start.unread), 0, 0, 0, *start.unread]
        self._result[: len(settled)].copy_(torch.tensor(settled))

    def step(self, shape: TreeShape) -> "DeviceLanding":
        """Enqueue a step; its results can be read once it has run."""
        self._graphs[shape].replay()
        return DeviceLanding(self._landing, len(self._result))

    def milliseconds(self, length: int) -> dict[TreeShape, float]:
        """Time a step of each shape behind `length` tokens, whatever they are."""
        taken = {}
        for shape, graph in self._graphs.items():
            self.begin(Start(length, (0,), 0, 0), None)
            graph.replay()
            marks = [torch.cuda.Event(enable_timing=True) for _ in range(2)]  # type: ignore[no-untyped-call]
            marks[0].record()
            for _ in range(TIMED_STEPS):
                graph.replay()
            marks[1].record()
            marks[1].synchronize()
            taken[shape] = marks[0].elapsed_time(marks[1]) / TIMED_STEPS
        return taken

    def _captured(self, shape: TreeShape) -> Graph:
        too_long = shape.depth and (self._draft is None or shape.longest >= MOST_UNREAD)
        if shape.n_nodes >= MAX_ROWS or too_long:
            raise ValueError(f"no tree of {shape}")
        return Graph(lambda: self._launch(shape), self._target.device)

    def _launch(self, shape: TreeShape) -> None:
        target, draft, state = self._target, self._draft, self._state
        draft_inputs = target.inputs.all if draft is None else draft.inputs.all
        kernels.root_kernel[(1,)](
            state, self._result, target.inputs.all, draft_inputs,
            shape.n_nodes, READ=MOST_UNREAD if shape.depth else 0, num_warps=1,
        )  # fmt: skip
        self._copy(shape)
        if draft is not None and shape.depth:
            self._grow(draft, shape)
        target.launch(preset_for(shape.n_nodes + 1), logits=False)
        kernels.walk_kernel[(1,)](
            state, target.tokens, target.log_probs, self._parents, target.inputs.all,
            self._text, self._places, self._path, self._result, self._log_probs,
            shape.n_nodes, shape.n_drafted, shape.longest,
            BLOCK=MAX_ROWS, BRANCHES=len(self._places), TEXT=len(self._text), num_warps=1,
        )  # fmt: skip
        if shape.n_nodes:
            self._compact(target, shape)
        self._match()

    def _copy(self, shape: TreeShape) -> None:
        base = 1 + shape.n_drafted
        for branch, length in enumerate(shape.copied):
            kernels.copy_kernel[(1,)](
                self._state, self._text, self._places, self._parents, self._target.inputs.all,
                branch, base, length, BLOCK=MAX_ROWS, num_warps=1,
            )  # fmt: skip
            base += length

    def _match(self) -> None:
        """Look for earlier text that ends like the latest."""
        if not self._branches:
            return
        size = len(self._text)
        block = min(PLACES_BLOCK, size)
        kernels.match_kernel[(size // block,)](
            self._state, self._text, self._keys,
            LEAST=self._least_matched, MOST=MOST_MATCHED, BLOCK=block,
        )  # fmt: skip
        kernels.pick_kernel[(1,)](
            self._text, self._keys, self._places, self._result,
            BRANCHES=self._branches, TEXT=size, num_warps=16,
        )  # fmt: skip

    def _grow(self, draft: FusedDecoder, shape: TreeShape) -> None:
        width = shape.width
        for level in range(1, shape.depth + 1):
            parents = 1 if level == 1 else width
            base = 1 + (level - 1) * width
            preset = preset_for(MOST_UNREAD if level == 1 else width)
            draft.launch(preset, logits=width > 1)
            values, tokens, per_row = self._level(draft, preset, parents, width, level == 1)
            kernels.grow_kernel[(1,)](
                self._state, values, tokens, draft.normalizer, self._scores, self._parents,
                self._target.inputs.all, draft.inputs.all, self._result, per_row,
                level, base, base - parents, WIDTH=width, PARENTS=parents,
                FIRST=level == 1, LAST=level == shape.depth,
                BLOCK=triton.next_power_of_2(parents * per_row),
            )  # fmt: skip

    def _level(
        self, draft: FusedDecoder, preset: int, parents: int, width: int, first: bool
    ) -> tuple[Tensor, Tensor, int]:
        """Give logits and tokens of the candidates below each row, and how many a row has."""
        if width == 1:
            return draft.best, draft.best_at, draft.programs(preset)
        kernels.candidates_kernel[(parents, self._blocks)](
            draft.logits, self._values, self._candidates, self._result, draft.config.vocab,
            self._blocks, LAST_ROW=first, WIDTH=width, BLOCK=CANDIDATE_BLOCK,
        )  # fmt: skip
        return self._values, self._candidates, self._blocks * width

    def _compact(self, decoder: FusedDecoder, shape: TreeShape) -> None:
        config, cache = decoder.config, decoder.cache
        kernels.compact_kernel[(config.n_layers, config.n_kv_heads)](
            cache.keys, cache.values, self._path, decoder.inputs.all,
            cache.keys.stride(0), cache.keys.stride(1), cache.capacity,
            HEAD_DIM=config.head_dim, BLOCK=self._longest,
        )  # fmt: skip


class DeviceLanding:
    """The results of a step on their way to the host."""

    def __init__(self, landing: Tensor, size: int) -> None:
        """Take a result of `size` numbers, with log-probabilities in fp32 behind them."""
        on_device = landing.device.type == "cuda"
        self._host = torch.empty_like(landing, device="cpu", pin_memory=on_device)
        self._host.copy_(landing, non_blocking=True)
        self._size = size
        self._there = torch.cuda.Event() if on_device else None  # type: ignore[no-untyped-call]
        if self._there is not None:
            self._there.record()

    def read(self) -> tuple[list[int], list[float], Seen]:
        """Wait for the tokens that the step settled, their log-probabilities, what it found."""
        if self._there is not None:
            self._there.synchronize()
        count, drafted, copied, match, *tokens = self._host[: self._size].tolist()
        log_probs = self._host[self._size :].view(torch.float32)[1 : count + 1].tolist()
        return tokens[:count], log_probs, Seen(count, drafted, copied, match)
