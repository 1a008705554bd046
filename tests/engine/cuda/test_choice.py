"""Tiles that fit every model, and the choice of the next tree from costs and recent drafts."""

import dataclasses
from typing import get_args

import pytest

from umbrella_engine.config import DraftConfig, DraftPreset
from umbrella_engine.cuda.choice import Choice, Seen, choice_for, expected_tokens
from umbrella_engine.cuda.shapes import COPIES, PLAIN, TreeShape, shapes_of
from umbrella_engine.cuda.tiles import (
    PRESETS,
    blocks_in_flight,
    choose_stretches,
    choose_tiles,
    obstacle,
    passes_in_flight,
    preset_for,
)
from umbrella_engine.model_config import ModelConfig

QWEN = ModelConfig(
    architecture="Qwen2ForCausalLM",
    n_layers=28,
    hidden=1536,
    n_heads=12,
    n_kv_heads=2,
    head_dim=128,
    intermediate=8960,
    vocab=151936,
    norm_eps=1e-6,
    max_positions=32768,
    rope_theta=1e6,
    rope_scaling=None,
    tied_head=False,
    raw={},
)
MODELS = {
    "1.5B": QWEN,
    "0.5B": dataclasses.replace(
        QWEN, hidden=896, n_heads=14, head_dim=64, intermediate=4864, n_layers=24
    ),
    "SmolLM2": dataclasses.replace(
        QWEN, hidden=576, n_heads=9, n_kv_heads=3, head_dim=64, intermediate=1536
    ),
    "7B": dataclasses.replace(QWEN, hidden=3584, n_heads=28, n_kv_heads=4, intermediate=18944),
    "32B": dataclasses.replace(QWEN, hidden=5120, n_heads=40, n_kv_heads=8, intermediate=27648),
    "Qwen3": dataclasses.replace(QWEN, architecture="Qwen3ForCausalLM", hidden=2048, n_heads=16),
    "tiny": dataclasses.replace(QWEN, hidden=32, n_heads=4, head_dim=16, intermediate=48, vocab=61),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("preset", PRESETS)
def test_tiles_divide_what_they_cut(name: str, preset: int) -> None:
    config = MODELS[name]
    assert obstacle(config) == ""
    tiles = choose_tiles(config, preset)
    assert config.head_dim % tiles.qkv.n == 0
    assert config.hidden % tiles.output.n == config.hidden % tiles.down.n == 0
    assert 2 * config.intermediate % tiles.gated.n == 0
    assert tiles.gated.n % 2 == tiles.qkv.n % 2 == 0
    if preset > 1:
        assert min(t.n for t in (tiles.qkv, tiles.output, tiles.gated, tiles.down)) >= 16
    if name == "Qwen3":
        assert tiles.qkv.n == config.head_dim
    assert choose_stretches(config, preset).rows % 16 == 0


@pytest.mark.parametrize("memory", [99 * 1024, 227 * 1024])  # of a consumer's card, of an H100
@pytest.mark.parametrize("itemsize", [2, 4])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("preset", PRESETS[1:])
def test_what_is_in_flight_fits_next_to_a_processor(
    name: str, preset: int, itemsize: int, memory: int
) -> None:
    config, rows = MODELS[name], max(16, preset)
    tiles = choose_tiles(config, preset)
    for tile in (tiles.qkv, tiles.output, tiles.gated, tiles.down, tiles.head):
        stages = passes_in_flight(tile, rows, itemsize, memory)
        assert 1 <= stages <= tile.stages
        assert stages * (tile.n + rows) * tile.k * itemsize <= memory
    cut, head = choose_stretches(config, preset), config.head_dim * itemsize
    stages = blocks_in_flight(cut, head, memory)
    assert (cut.rows + 2 * stages * cut.slots) * head <= memory


def test_a_model_of_odd_size_is_left_to_the_plain_decoder() -> None:
    assert "80 dimensions" in obstacle(dataclasses.replace(QWEN, head_dim=80))
    assert "inner size 8950" in obstacle(dataclasses.replace(QWEN, intermediate=8950))


def test_a_preset_holds_its_rows() -> None:
    assert [preset_for(rows) for rows in (1, 2, 8, 9, 33, 64)] == [1, 8, 8, 16, 64, 64]


CHAIN = TreeShape(4)


def test_limits_leave_shapes_out() -> None:
    assert shapes_of("dynamic", DraftConfig(model_depth=0)) == (PLAIN,)
    assert shapes_of("chain", DraftConfig()) == (TreeShape(2), TreeShape(4))
    assert shapes_of("chain", DraftConfig(max_nodes=3)) == (TreeShape(2),)
    assert TreeShape(5, 3) not in shapes_of("dynamic", DraftConfig(max_nodes=14))
    assert TreeShape(5, 3) in shapes_of("dynamic", DraftConfig(max_nodes=15))


def test_no_tree_pays_for_rows_that_it_leaves_empty() -> None:
    """A pass takes a whole preset of rows, root included; the next smaller one is well exceeded."""
    shapes = {*shapes_of("adaptive", DraftConfig()), *shapes_of("static", DraftConfig())}
    rows = [shape.n_nodes + 1 for shape in shapes]
    assert all(preset_for(n) <= 32 for n in rows)
    assert all(n >= 0.75 * preset_for(n) for n in rows)


def test_limits_cut_copies() -> None:
    assert shapes_of("suffix", DraftConfig()) == (PLAIN, *COPIES)
    assert shapes_of("suffix", DraftConfig(suffix_tokens=0)) == (PLAIN,)
    one = shapes_of("suffix", DraftConfig(suffix_branches=1, suffix_tokens=12))
    assert one == (PLAIN, TreeShape(0, 1, (10,)), TreeShape(0, 1, (12,)))
    bare = shapes_of("merged", DraftConfig(max_nodes=16))
    assert bare == (TreeShape(4, 4),)  # no room for copies beside the tree


def test_presets_name_what_they_ask() -> None:
    config = DraftConfig()
    assert shapes_of("none", config) == (PLAIN,)
    assert {shape.width for shape in shapes_of("chain", config)} == {1}
    assert not any(shape.copied for shape in shapes_of("dynamic", config))
    assert all(shape.depth for shape in shapes_of("merged", config))
    assert any(shape.copied for shape in shapes_of("merged", config))
    assert not any(shape.depth for shape in shapes_of("suffix", config))
    everything = shapes_of("adaptive", config)
    assert {PLAIN, *COPIES, *shapes_of("merged", config)} <= {*everything}
    assert shapes_of("auto", config) == everything


def test_expected_tokens_of_a_chain_are_a_geometric_sum() -> None:
    assert expected_tokens(PLAIN, 0.9) == 1
    assert expected_tokens(TreeShape(2), 0.5) == 1.75
    assert expected_tokens(TreeShape(2, 4), 0.5) > 1.75
    assert expected_tokens(TreeShape(0, 1, (2, 1)), 0.9, 0.5, 0.5) == 1.75


def test_a_copy_adds_to_a_tree_never_more_than_it_promises() -> None:
    both = expected_tokens(TreeShape(2, 1, (4,)), 0.5, 0.6, 0.9)
    alone = expected_tokens(TreeShape(0, 1, (4,)), 0.5, 0.6, 0.9)
    assert max(alone, 1.75) < both < alone + 0.75


def nothing(settled: int = 1) -> Seen:
    return Seen(settled, 0, 0, 0)


def test_a_cheap_draft_is_used_and_one_that_fails_is_given_up_and_tried_again() -> None:
    choice = Choice({PLAIN: 1.0, CHAIN: 1.5}, (PLAIN, CHAIN))
    assert choice.next().shape == CHAIN
    for _ in range(60):
        choice.learn(choice.next(), nothing())
    assert choice.next().shape == PLAIN
    probes = 0
    for _ in range(100):
        bet = choice.next()
        probes += bet.shape == CHAIN
        choice.learn(bet, nothing())
    assert 1 <= probes <= 4


def test_a_draft_that_recovers_is_trusted_again() -> None:
    choice = Choice({PLAIN: 1.0, CHAIN: 1.5}, (PLAIN, CHAIN))
    for _ in range(60):
        choice.learn(choice.next(), nothing())
    for _ in range(400):
        bet = choice.next()
        choice.learn(bet, Seen(bet.shape.depth + 1, bet.shape.depth, 0, 0))
    assert choice.next().shape == CHAIN


def test_a_dear_draft_is_never_used_but_to_probe() -> None:
    choice = Choice({PLAIN: 1.0, TreeShape(2): 50.0}, (PLAIN, TreeShape(2)))
    assert choice.next().shape == PLAIN


def test_a_long_match_calls_for_copies_and_a_broken_one_ends_them() -> None:
    copying = COPIES[0]
    choice = Choice({PLAIN: 1.0, copying: 1.3, CHAIN: 3.0}, (PLAIN, copying, CHAIN))
    choice.learn(choice.next(), Seen(4, 3, 4, 12))
    assert choice.next().shape == copying
    for _ in range(40):
        choice.learn(choice.next(), Seen(1, 0, 0, 12))
    assert choice.next().shape != copying  # long matches have been no guide
    for _ in range(80):
        choice.learn(choice.next(), Seen(8, 0, 8, 12))
    assert choice.next().shape == copying  # seen although nothing was copied


def test_a_preset_of_one_tree_keeps_to_the_best_at_these_costs() -> None:
    trees = shapes_of("static", DraftConfig())
    cheap = {shape: 1.0 + 0.01 * shape.depth for shape in trees}
    dear = {shape: 1.0 + shape.depth for shape in trees}
    for costs, depth in ((cheap, 12), (dear, 3)):
        choice = choice_for("static", costs, trees)
        shapes = set()
        for accepted in (0, 4, 0, 0, 0, 0, 4):
            shapes.add(choice.next().shape)
            choice.learn(choice.next(), Seen(accepted + 1, accepted, 0, 0))
        assert [shape.depth for shape in shapes] == [depth]


@pytest.mark.parametrize("preset", get_args(DraftPreset))
@pytest.mark.parametrize("depth", [0, 2, 8])
def test_every_preset_has_a_next_step(preset: DraftPreset, depth: int) -> None:
    allowed = shapes_of(preset, DraftConfig(model_depth=depth))
    costs = {shape: 1.0 + 0.2 * shape.depth for shape in allowed}
    choice = choice_for(preset, costs, allowed)
    for accepted in (0, 1, 2):
        bet = choice.next()
        assert bet.shape in allowed
        choice.learn(bet, Seen(accepted + 1, min(accepted, bet.shape.depth), accepted, accepted))
