"""Tiles that fit every model, and the choice of the next tree from costs and recent drafts."""

import dataclasses
from typing import get_args

import pytest

from umbrella_engine.config import DraftConfig, DraftPreset
from umbrella_engine.cuda.shapes import (
    PLAIN,
    SHAPES,
    Choice,
    TreeShape,
    expected_tokens,
    shapes_of,
    shapes_within,
)
from umbrella_engine.cuda.tiles import PRESETS, choose_stretches, choose_tiles, obstacle, preset_for
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


def test_a_model_of_odd_size_is_left_to_the_plain_decoder() -> None:
    assert "80 dimensions" in obstacle(dataclasses.replace(QWEN, head_dim=80))
    assert "inner size 8950" in obstacle(dataclasses.replace(QWEN, intermediate=8950))


def test_a_preset_holds_its_rows() -> None:
    assert [preset_for(rows) for rows in (1, 2, 8, 9, 33, 64)] == [1, 8, 8, 16, 64, 64]


def test_limits_leave_shapes_out_but_never_plain_steps() -> None:
    assert shapes_within(0, 4, 32) == (PLAIN,)
    assert shapes_within(4, 1, 32) == (PLAIN, TreeShape(2), TreeShape(4))
    assert TreeShape(8, 4) not in shapes_within(8, 4, 31)
    assert TreeShape(8, 4) in shapes_within(8, 4, 32)


def test_expected_tokens_of_a_chain_are_a_geometric_sum() -> None:
    assert expected_tokens(PLAIN, 0.9) == 1
    assert expected_tokens(TreeShape(2), 0.5) == 1.75
    assert expected_tokens(TreeShape(2, 4), 0.5) > 1.75


def test_a_cheap_draft_is_used_and_one_that_fails_is_given_up_and_tried_again() -> None:
    chain = TreeShape(4)
    choice = Choice({PLAIN: 1.0, chain: 1.5}, (PLAIN, chain))
    assert choice.next() == chain
    for _ in range(60):
        choice.learn(choice.next(), 0)
    assert choice.next() == PLAIN
    probes = 0
    for _ in range(100):
        shape = choice.next()
        probes += shape == chain
        choice.learn(shape, 0)
    assert 1 <= probes <= 4


def test_a_draft_that_recovers_is_trusted_again() -> None:
    chain = TreeShape(4)
    choice = Choice({PLAIN: 1.0, chain: 1.5}, (PLAIN, chain))
    for _ in range(60):
        choice.learn(choice.next(), 0)
    for _ in range(400):
        shape = choice.next()
        choice.learn(shape, shape.depth)
    assert choice.next() == chain


def test_a_dear_draft_is_never_used_but_to_probe() -> None:
    choice = Choice({PLAIN: 1.0, TreeShape(2): 50.0}, (PLAIN, TreeShape(2)))
    assert choice.next() == PLAIN
    assert choice.host_step_pays == pytest.approx(0.4)


@pytest.mark.parametrize("preset", get_args(DraftPreset))
@pytest.mark.parametrize("depth", [0, 2, 8])
def test_every_preset_has_a_next_step_and_a_price_of_the_hosts(
    preset: DraftPreset, depth: int
) -> None:
    allowed = shapes_of(preset, DraftConfig(model_depth=depth))
    assert allowed
    costs = {shape: 1.0 + 0.2 * shape.depth for shape in (PLAIN, *SHAPES)}
    choice = Choice(costs, allowed)
    for accepted in (0, 1, 2):
        shape = choice.next()
        assert shape in allowed
        choice.learn(shape, min(accepted, shape.depth))
        assert choice.host_step_pays >= 0.0


def test_a_preset_that_names_its_way_always_drafts() -> None:
    assert {shape.width for shape in shapes_of("chain", DraftConfig())} == {1}
    assert PLAIN not in shapes_of("static", DraftConfig())
    assert shapes_of("suffix", DraftConfig()) == (PLAIN,)
    assert PLAIN in shapes_of("adaptive", DraftConfig())
