"""Drafters and the merge: what they propose, not whether it is right (the law covers that)."""

from pathlib import Path

import pytest

from tests.engine.tiny import TinyTokenizer, load_tiny, save_family
from umbrella_engine.config import DraftConfig
from umbrella_engine.draft.growth import DynamicGrowth, StaticGrowth
from umbrella_engine.draft.merge import merge
from umbrella_engine.draft.model import ModelDrafter
from umbrella_engine.draft.retyped import RetypedDrafter
from umbrella_engine.draft.suffix import SuffixDrafter
from umbrella_engine.healing import Healing
from umbrella_engine.shape import beam
from umbrella_engine.shape.costs import FREE, Costs, Curve, Prices
from umbrella_engine.tree import Tree, chain


def nothing() -> None:
    """A checkpoint that never stops anything."""


@pytest.fixture(scope="module")
def healing() -> Healing:
    return Healing(TinyTokenizer())


def test_suffix_prefers_the_longest_match_then_the_latest() -> None:
    drafter = SuffixDrafter(DraftConfig(suffix_min_match=2, suffix_tokens=3, suffix_branches=2))
    text = [1, 2, 3, 50, 51, 9, 2, 3, 60, 61, 8, 2, 3, 70, 71, 7, 1, 2, 3]
    with drafter.begin(text) as draft:
        tree = draft.propose(10, b"", nothing)
        assert tree.path_tokens(2) == [50, 51, 9]  # matches 1 2 3
        assert tree.path_tokens(5) == [70, 71, 7]  # 2 3, later than 60
        assert len(tree) == 6
        draft.accept([60, 61])
        assert draft.propose(10, b"", nothing).tokens == [8, 2, 3]
        assert len(draft.propose(0, b"", nothing)) == 0


def test_suffix_needs_a_match() -> None:
    with SuffixDrafter(DraftConfig()).begin([1, 2, 3]) as draft:
        assert len(draft.propose(8, b"", nothing)) == 0
    with SuffixDrafter(DraftConfig()).begin([1]) as draft:
        assert len(draft.propose(8, b"", nothing)) == 0


def test_merge_shares_prefixes_and_keeps_the_budget(healing: Healing) -> None:
    first, second = chain([1, 2, 3], source="a"), chain([1, 2, 9], source="b")
    merged = merge([first, second], 10, b"", healing)
    assert len(merged) == 4
    assert merged.sources == ["a", "a", "a", "b"]
    small = merge([first, second], 3, b"", healing)
    assert small.tokens == [1, 2, 3]


def test_sources_compete_by_probability_and_the_best_chain_comes_first(healing: Healing) -> None:
    sure, unsure = chain([1, 2, 3], "a", 0.9), chain([4, 5], "b", 0.2)
    merged = merge([unsure, sure], 4, b"", healing)
    assert merged.tokens == [1, 2, 3, 4]
    assert merged.sources == ["a", "a", "a", "b"]
    assert merged.parents == [-1, 0, 1, -1]
    assert merged.probabilities == [0.9, 0.9, 0.9, 0.2]


def test_sources_that_contradict_each_other_share_what_is_certain(healing: Healing) -> None:
    sure, too_sure = chain([1, 2], "a", 0.9), chain([4, 5], "b", 0.9)
    both_half_as_likely = merge([sure, too_sure, chain([1, 2, 7], "c", 0.3)], 3, b"", healing)
    assert both_half_as_likely.tokens == [1, 2, 4]  # 0.5, 0.45, 0.5; then 5 before 7


def test_what_is_not_worth_verifying_is_left_out(healing: Healing) -> None:
    prices = Prices(Costs(Curve((1, 11), (1.0, 2.0))), tokens_per_ms=1.0)  # a node costs 0.1
    tree = merge([chain([1, 2, 3, 4], "a", 0.5)], 10, b"", healing, prices)
    assert tree.tokens == [1, 2, 3]
    assert len(merge([chain([1], "a", 0.09)], 10, b"", healing, prices)) == 0


def test_merge_leaves_out_what_breaks_the_promise(healing: Healing) -> None:
    words = TinyTokenizer().words
    good = words.index(b"a")
    bad = words.index(b"b")
    tree = Tree()
    tree.add(bad)
    tree.add_chain([good, bad, bad])
    merged = merge([tree], 10, b"ab", healing)
    assert merged.tokens == [good, bad, bad]
    assert merge([tree], 10, b"d", healing).tokens == []


def test_retyped_spells_what_is_owed() -> None:
    tokenizer = TinyTokenizer()
    with RetypedDrafter(tokenizer).begin([1]) as draft:
        tree = draft.propose(10, b"abba", nothing)
        assert b"".join(tokenizer.words[t] for t in tree.tokens) == b"abba"
        assert len(draft.propose(10, b"", nothing)) == 0


def test_a_draft_model_equal_to_its_target_is_always_right(
    tmp_path: Path, healing: Healing
) -> None:
    save_family("llama", tmp_path)
    target, model = load_tiny(tmp_path), load_tiny(tmp_path)
    ids = [3, 1, 4, 1, 5, 9, 2, 6]
    growth = StaticGrowth(beam([0.7, 0.2, 0.1], width=3, depth=4))
    with target.open(ids) as context, ModelDrafter(model, growth, healing).begin(ids) as draft:
        tree = draft.propose(8, b"", nothing)
        assert len(tree) == 12
        assert max(tree.depths) == 4
        logits = context.evaluate(ids, tree)
        node = -1
        for _ in range(4):
            below = tree.child(node, int(logits[node + 1].argmax()))
            assert below is not None
            node = below


def test_a_draft_model_keeps_its_promises(tmp_path: Path, healing: Healing) -> None:
    save_family("llama", tmp_path)
    model = load_tiny(tmp_path)
    growth = DynamicGrowth(depth=3, width=4, budget=16, prices=FREE)
    with ModelDrafter(model, growth, healing).begin([1, 2, 3]) as draft:
        tree = draft.propose(8, b"dcb", nothing)
    assert len(tree) == 16
    words = TinyTokenizer().words
    for node in range(len(tree)):
        spelled = b"".join(words[token] for token in tree.path_tokens(node))
        assert spelled.startswith(b"dcb") or b"dcb".startswith(spelled)
