"""The law: speculative output equals the target's own greedy output, token for token, in fp32.

Hypothesis makes random prompts, trees, drafters, cache states, interleaved documents and
cancellations over tiny random models; the twin is transformers without any cache. The second half
breaks one part at a time by one and demands that the law notices.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.law import World, law
from umbrella_engine import language_model, verify
from umbrella_engine.draft import model as draft_model
from umbrella_engine.hf_attention import Lanes
from umbrella_engine.kv_cache import KVCache
from umbrella_engine.language_model import Context
from umbrella_engine.model import Decoder
from umbrella_engine.prefix_cache import Lane, Placement, PrefixCache
from umbrella_engine.tree import Tree


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.mark.timeout(300)  # half a minute, many times that where others use the machine
def test_law(world: World) -> None:
    law(world, 400)()


@pytest.mark.parametrize(
    ("family", "far"),
    [
        ("hf-gemma2", "llama"),
        ("hf-gpt_oss", "qwen2"),
        ("qwen3", "hf-phi3"),
        ("granite", "starcoder2-window"),
        ("mistral-window", "llama"),
    ],
)
def test_law_through_transformers(family: str, far: str, tmp_path: Path) -> None:
    law(World(tmp_path, family, far), 25)()


def test_the_law_notices_a_window_one_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_mask = Lanes._make_mask

    def longer(self: Lanes, window: int | None, group: int, dtype: torch.dtype) -> Any:
        return make_mask(self, window and window + 1, group, dtype)

    monkeypatch.setattr(Lanes, "_make_mask", longer)
    with pytest.raises(AssertionError):
        law(World(tmp_path, "hf-gemma2"), 25)()


def off_by_one_walk(tree: Tree, choices: Sequence[int]) -> tuple[list[int], int]:
    """Accepts a node too many where there is one: the bonus comes from the node before."""
    path, bonus = walk(tree, choices)
    below = [n for n, parent in enumerate(tree.parents) if parent == (path[-1] if path else -1)]
    return (path + below[:1], bonus) if below else (path, bonus)


walk = verify.walk
compact = KVCache.compact
forward = Decoder.forward
tail_mask = language_model.tail_mask
take = PrefixCache._take
draft_accept = draft_model.ModelDraft.accept
keep = Context.keep


def shifted_compact(self: KVCache, lane: int, slots: Sequence[int], start: int) -> None:
    compact(self, lane, [max(0, slot - 1) for slot in slots], start)


def no_compact(self: KVCache, lane: int, slots: Sequence[int], start: int) -> None:
    pass


def shifted_positions(self: Decoder, ids: Any, positions: Any, *rest: Any, **named: Any) -> Any:
    positions = positions.clone()
    positions[-1] += 1
    return forward(self, ids, positions, *rest, **named)


def siblings_seen(n_ids: int, tree: Tree, first_node: int) -> np.ndarray:
    mask = tail_mask(n_ids, tree, first_node)
    if mask.shape[1] > 1:
        mask[-1, -2] = True
    return mask


def parent_unseen(n_ids: int, tree: Tree, first_node: int) -> np.ndarray:
    mask = tail_mask(n_ids, tree, first_node)
    if len(tree) and tree.parents[-1] >= 0 and len(mask):
        mask[-1, n_ids + tree.parents[-1]] = False
    return mask


def truncates_one_late(
    self: PrefixCache, lane: Lane, ids: list[int], reused: int, copy_from: Lane | None
) -> Placement:
    placement = take(self, lane, ids, reused, copy_from)
    if 0 < reused < len(ids) - 1:
        lane.tokens = ids[: reused + 1]
        return Placement(lane, reused + 1, copy_from)
    return placement


def keeps_one_more(self: Context, tree: Tree, path: Sequence[int]) -> None:
    keep(self, tree, path)
    if path:
        self._lane.tokens.append(tree.tokens[path[-1]])


MUTATIONS = {
    "verify accepts one node too many": (verify, "walk", off_by_one_walk),
    "compaction takes the slot before": (KVCache, "compact", shifted_compact),
    "compaction does nothing": (KVCache, "compact", no_compact),
    "the last position is one too large": (Decoder, "forward", shifted_positions),
    "the last row sees one slot too many": (language_model, "tail_mask", siblings_seen),
    "the last node does not see its parent": (language_model, "tail_mask", parent_unseen),
    "truncation keeps one token too many": (PrefixCache, "_take", truncates_one_late),
    "a kept path counts one token too many": (Context, "keep", keeps_one_more),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_the_law_notices(mutation: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    place, name, broken = MUTATIONS[mutation]
    monkeypatch.setattr(place, name, broken)
    with pytest.raises(AssertionError):
        law(world, 300)()
