"""Drafters and the merge: what they propose, not whether it is right (the law covers that)."""

from pathlib import Path

import pytest

from tests.engine.tiny import TinyTokenizer, load_tiny, save_family
from umbrella_engine.config import DraftConfig
from umbrella_engine.draft.merge import merge
from umbrella_engine.draft.model import ModelDrafter
from umbrella_engine.draft.retyped import RetypedDrafter
from umbrella_engine.draft.suffix import SuffixDrafter
from umbrella_engine.healing import Healing
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
    config = DraftConfig(model_depth=4, model_width=3)
    ids = [3, 1, 4, 1, 5, 9, 2, 6]
    with target.open(ids) as context, ModelDrafter(model, config, healing).begin(ids) as draft:
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
    config = DraftConfig(model_depth=3, model_width=4)
    with ModelDrafter(model, config, healing).begin([1, 2, 3]) as draft:
        tree = draft.propose(8, b"dcb", nothing)
    words = TinyTokenizer().words
    for node in range(len(tree)):
        spelled = b"".join(words[token] for token in tree.path_tokens(node))
        assert spelled.startswith(b"dcb") or b"dcb".startswith(spelled)
