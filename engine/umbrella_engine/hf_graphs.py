"""Passes of transformers' modules as CUDA graphs, where a family allows it.

In a graph nothing but device memory may change from step to step: rows, lane, length and
visibility come from `Inputs`, and attention reads a whole lane behind a mask. Families that ask the
host in the middle of a pass (experts chosen by a loop, for instance) stay as they are, and so does
every family whose graphs give other logits than the module itself.
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor

from umbrella_engine.cuda.graphs import Graph
from umbrella_engine.cuda.inputs import MAX_ROWS, Inputs
from umbrella_engine.cuda.tiles import PRESETS, preset_for
from umbrella_engine.hf_attention import Lanes, bind
from umbrella_engine.hf_model import HFDecoder
from umbrella_engine.self_test import distance, limit_of

SHARED: Final = 20  # tokens before the rows that are compared


class DeviceLanes(Lanes):
    """A cache as a captured module sees it: aimed at by what lies in `Inputs`."""

    def __init__(self, decoder: HFDecoder, inputs: Inputs, preset: int) -> None:
        super().__init__(decoder.config, decoder.cache)
        self._inputs, self._preset = inputs, preset
        device = inputs.all.device
        self.length = decoder.cache.capacity
        self._all_slots = torch.arange(self.length, device=device)
        self._heads = torch.arange(decoder.config.n_kv_heads, device=device)[:, None]
        self._at = self._seen = self._all_slots

    def begin(self) -> None:
        """Compute, on the device, where the rows of this pass go and what they see."""
        inputs, preset = self._inputs, self._preset
        slots = inputs.start + self._all_slots[:preset]
        self._at = ((inputs.lane * len(self._heads) + self._heads) * self.length + slots).flatten()
        behind = self._all_slots - inputs.prefix
        node = (inputs.words[:preset, None] >> behind.clamp(0, MAX_ROWS - 1)) & 1 == 1
        self._seen = (behind < 0) | (node & (behind < inputs.tail))
        self._masks.clear()

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Store new keys and values of a layer; give all slots of the lane. See `Lanes`."""
        self.check_shapes(key_states, value_states, layer_idx)
        found = []
        stores = self._cache.keys[layer_idx], self._cache.values[layer_idx]
        for store, states in zip(stores, (key_states, value_states), strict=True):
            size = states.shape[-1]
            store.view(-1, size).index_copy_(0, self._at, states[0].reshape(-1, size))
            found.append(store.index_select(0, self._inputs.lane))
        return found[0], found[1]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Nothing that a graph could hold: positions are handed in."""
        return 0

    def _make_mask(self, window: int | None, group: int, dtype: torch.dtype) -> Tensor:
        seen = self._seen
        if window is not None:
            seen = seen & (seen.flip(-1).cumsum(-1).flip(-1) <= window)
        mask = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
        return mask.masked_fill_(~seen, float("-inf")).repeat(group, 1)


class CapturedPasses:
    """What runs a module for up to 64 rows without the host; see `hf_model.Passes`."""

    def __init__(self, decoder: HFDecoder, guarded: bool) -> None:
        """Capture a graph for each preset of rows.

        guarded: raise where the module waits for the device, before it is captured.
        """
        cache = decoder.cache
        # slots behind a mask are read too: they must be numbers
        cache.keys.zero_()
        cache.values.zero_()
        self._decoder, self._inputs = decoder, Inputs(decoder.device)
        self._inputs.words.fill_(1)  # rows that see nothing would write what is no number
        self._inputs.tail.fill_(1)
        self._capacity = cache.capacity
        self._logits: dict[int, Tensor] = {}
        self._graphs: dict[int, Graph] = {}
        for preset in PRESETS:
            if preset > self._capacity:
                break
            lanes = DeviceLanes(decoder, self._inputs, preset)
            with _guard(guarded):
                self._pass(preset, lanes)
            self._graphs[preset] = Graph(partial(self._pass, preset, lanes), decoder.device)

    def fits(self, n: int, n_tail: int, start: int) -> bool:
        """Whether there is a graph for n rows that begin at a slot."""
        if max(n, n_tail) > MAX_ROWS:
            return False
        preset = preset_for(n)
        return preset in self._graphs and start + preset <= self._capacity

    def run(self, ids: Tensor, positions: Tensor, lane: int, start: int, tail: Tensor) -> Tensor:
        """Compute logits [n, vocab], valid until the next call; arguments lie on the host."""
        n = ids.shape[0]
        self._inputs.fill(ids, positions, lane, start, tail)
        preset = preset_for(n)
        # rows that stand for nothing see one slot, so that they stay numbers
        self._inputs.words[n:preset].fill_(1)
        self._graphs[preset].replay()
        return self._logits[preset][:n]

    @torch.inference_mode()
    def _pass(self, preset: int, lanes: DeviceLanes) -> None:
        inputs = self._inputs
        bind(self._decoder.module, lanes)
        try:
            lanes.begin()
            found = self._decoder.module(
                input_ids=inputs.ids[None, :preset],
                position_ids=inputs.positions[None, :preset],
                past_key_values=lanes,
                use_cache=True,
            )
        finally:
            self._decoder.bind()
        self._logits[preset] = found.logits[0]


def _guard(guarded: bool) -> Any:
    """Make torch raise where the host would wait for the device."""
    return _NoWaiting() if guarded else nullcontext()


class _NoWaiting:
    def __enter__(self) -> None:
        torch.cuda.set_sync_debug_mode("error")

    def __exit__(self, *_: object) -> None:
        torch.cuda.set_sync_debug_mode("default")


def capture(decoder: HFDecoder, tell: Callable[[str], None]) -> None:
    """Let `decoder` run its passes as graphs if they equal its own; `tell` gets the outcome."""
    name = decoder.config.architecture
    try:
        passes = CapturedPasses(decoder, guarded=decoder.device.type == "cuda")
        worst = max(_difference(decoder, passes, preset) for preset in PRESETS)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # a foreign module may fail in any way
        first = (str(error).splitlines() or [""])[0]
        tell(f"{name} runs without CUDA graphs: {type(error).__name__}: {first}")
        return
    limit = limit_of(decoder.dtype)
    if not worst <= limit:
        tell(
            f"{name} runs without CUDA graphs: they give other logits (relative distance "
            f"{worst:.2g}, rounding is below {limit:g})"
        )
        return
    decoder.captured = passes
    tell(f"{name} runs as CUDA graphs of up to {MAX_ROWS} rows")


@torch.inference_mode()
def _difference(decoder: HFDecoder, passes: CapturedPasses, preset: int) -> float:
    """Compare two branches of a tree in the last lane, behind a short text, with the module's."""
    lane = decoder.cache.n_lanes - 1
    if not passes.fits(preset, preset, SHARED):
        return 0.0
    ids = (torch.arange(SHARED + preset) * 7919 + 11) % decoder.config.vocab
    before, rows = torch.arange(SHARED), torch.arange(preset)
    causal = torch.ones(SHARED, SHARED, dtype=torch.bool).tril()
    decoder.forward(ids[:SHARED], before, lane, 0, causal, SHARED)
    tail = (rows[:, None] >= rows) & ((rows[:, None] - rows) % 2 == 0)
    place = ids[SHARED:], SHARED + rows // 2, lane, SHARED, tail
    ours = decoder.forward(*place, 0).float()
    return distance(passes.run(*place).float(), ours, decoder.dtype)
