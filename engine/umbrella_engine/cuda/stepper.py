"""Steps of greedy decoding that the host only watches: one graph a step, results read one late.

A step grows the draft's tree, verifies it with the target, walks down, moves the accepted rows into
place and sets the next root, without the host. Depth 0 is plain decoding.
"""

from collections.abc import Callable, Collection

import torch
import triton
from torch import Tensor

from umbrella_engine.cuda.decoder import FusedDecoder
from umbrella_engine.cuda.device_loop import Start
from umbrella_engine.cuda.graphs import Graph
from umbrella_engine.cuda.inputs import MAX_ROWS
from umbrella_engine.cuda.kernels import speculation as kernels
from umbrella_engine.cuda.shapes import PLAIN, TreeShape
from umbrella_engine.cuda.tiles import preset_for

CANDIDATE_BLOCK = 4096  # columns that one program searches for its best
TIMED_STEPS = 8


class Stepper:
    """A target, and a draft for shapes with levels, stepping together on one device."""

    def __init__(
        self,
        target: FusedDecoder,
        draft: FusedDecoder | None,
        shapes: Collection[TreeShape],
        done: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> None:
        """Capture a graph for each shape; `done` is told how many of how many."""
        self._target, self._draft = target, draft
        device = target.device
        depth = max(shape.depth for shape in shapes)
        self._state = torch.zeros(5, dtype=torch.int64, device=device)
        self._scores = torch.zeros(MAX_ROWS, dtype=torch.float32, device=device)
        self._parents = torch.full((MAX_ROWS,), -1, dtype=torch.int32, device=device)
        self._path = torch.zeros(depth + 2, dtype=torch.int64, device=device)
        self._result = torch.zeros(depth + 2, dtype=torch.int64, device=device)
        self._log_probs = torch.zeros(depth + 2, dtype=torch.float32, device=device)
        width = max(shape.width for shape in shapes)
        if draft is not None:
            self._blocks = -(-draft.config.vocab // CANDIDATE_BLOCK)
            size = (width + 1) * self._blocks * width
            self._values = torch.empty(size, dtype=torch.float32, device=device)
            self._candidates = torch.empty(size, dtype=torch.int32, device=device)
        self.owner: object = None  # whose root the device goes on from
        self.begin(Start(1, 0, 0, 0, 0), None)
        self._graphs: dict[TreeShape, Graph] = {}
        for count, shape in enumerate(shapes, 1):
            self._graphs[shape] = self._captured(shape)
            done(count, len(shapes))

    def begin(self, start: Start, owner: object) -> None:
        """Set the root; steps go on from it until someone else begins."""
        self.owner = owner
        values = [start.length, start.root, start.before, start.lane, start.draft_lane]
        self._state.copy_(torch.tensor(values))

    def step(self, shape: TreeShape) -> "DeviceLanding":
        """Enqueue a step; its results can be read once it has run."""
        self._graphs[shape].replay()
        return DeviceLanding(self._result, self._log_probs)

    def milliseconds(self, length: int) -> dict[TreeShape, float]:
        """Time a step of each shape behind `length` tokens, whatever they are."""
        taken = {}
        for shape, graph in self._graphs.items():
            self.begin(Start(length, 0, 0, 0, 0), None)
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
        if shape.n_nodes >= MAX_ROWS or (shape.depth and self._draft is None):
            raise ValueError(f"no tree of {shape}")
        return Graph(lambda: self._launch(shape), self._target.device)

    def _launch(self, shape: TreeShape) -> None:
        target, draft, state = self._target, self._draft, self._state
        draft_inputs = target.inputs.all if draft is None else draft.inputs.all
        kernels.root_kernel[(1,)](
            state, target.inputs.all, draft_inputs, N_NODES=shape.n_nodes, num_warps=1
        )
        if draft is not None and shape != PLAIN:
            self._grow(draft, shape)
        target.launch(preset_for(shape.n_nodes + 1), logits=False)
        kernels.walk_kernel[(1,)](
            state, target.tokens, target.log_probs, self._parents, target.inputs.all,
            self._path, self._result, self._log_probs,
            N_NODES=shape.n_nodes, DEPTH=shape.depth, BLOCK=MAX_ROWS, num_warps=1,
        )  # fmt: skip
        if draft is not None and shape != PLAIN:
            self._compact(target, shape)
            self._compact(draft, shape)

    def _grow(self, draft: FusedDecoder, shape: TreeShape) -> None:
        width = shape.width
        for level in range(1, shape.depth + 1):
            parents = 1 if level == 1 else width
            rows = 2 if level == 1 else width  # the token before the root is read again
            preset = preset_for(rows)
            draft.launch(preset, logits=width > 1)
            values, tokens, per_row = self._level(draft, preset, rows, width)
            kernels.grow_kernel[(1,)](
                self._state, values, tokens, draft.normalizer, self._scores, self._parents,
                self._target.inputs.all, draft.inputs.all, per_row, rows - parents,
                LEVEL=level, WIDTH=width, PARENTS=parents, LAST=level == shape.depth,
                BLOCK=triton.next_power_of_2(parents * per_row),
            )  # fmt: skip

    def _level(
        self, draft: FusedDecoder, preset: int, rows: int, width: int
    ) -> tuple[Tensor, Tensor, int]:
        """Give logits and tokens of the candidates below each row, and how many a row has."""
        if width == 1:
            return draft.best, draft.best_at, draft.programs(preset)
        kernels.candidates_kernel[(rows, self._blocks)](
            draft.logits, self._values, self._candidates, draft.config.vocab, self._blocks,
            WIDTH=width, BLOCK=CANDIDATE_BLOCK,
        )  # fmt: skip
        return self._values, self._candidates, self._blocks * width

    def _compact(self, decoder: FusedDecoder, shape: TreeShape) -> None:
        config, cache = decoder.config, decoder.cache
        kernels.compact_kernel[(config.n_layers, config.n_kv_heads)](
            cache.keys, cache.values, self._path, decoder.inputs.all,
            cache.keys.stride(0), cache.keys.stride(1), cache.capacity,
            HEAD_DIM=config.head_dim, BLOCK=triton.next_power_of_2(shape.depth),
        )  # fmt: skip


class DeviceLanding:
    """The results of a step on their way to the host."""

    def __init__(self, result: Tensor, log_probs: Tensor) -> None:
        on_device = result.device.type == "cuda"
        self._result = torch.empty_like(result, device="cpu", pin_memory=on_device)
        self._log_probs = torch.empty_like(log_probs, device="cpu", pin_memory=on_device)
        self._result.copy_(result, non_blocking=True)
        self._log_probs.copy_(log_probs, non_blocking=True)
        self._there = torch.cuda.Event() if on_device else None  # type: ignore[no-untyped-call]
        if self._there is not None:
            self._there.record()

    def read(self) -> tuple[list[int], list[float]]:
        """Wait for the tokens that the step settled and for their log-probabilities."""
        if self._there is not None:
            self._there.synchronize()
        count, *tokens = self._result.tolist()
        return tokens[:count], self._log_probs[1 : count + 1].tolist()
