"""Errors of a pair that is too large for a GPU."""

import pytest

from umbrella_engine.errors import DoesNotFit
from umbrella_engine.memory import GB, Need, check_fits

TARGET = Need("target", 14 * GB, 1 * GB)
DRAFT = Need("draft", 1 * GB, 1 * GB)


def test_a_pair_that_fits_is_no_error() -> None:
    check_fits([TARGET, DRAFT], 18 * GB, "cuda:0", gpu=True)


def test_the_numbers_and_the_ways_out_are_told() -> None:
    with pytest.raises(DoesNotFit) as error:
        check_fits([TARGET, DRAFT], 17 * GB, "cuda:0", gpu=True)
    text = str(error.value)
    assert "needs 17.7 GB (target 14.0 GB, draft 1.0 GB, caches 2.0 GB)" in text
    assert "cuda:0 has 17.0 GB free" in text
    assert "lower engine.kv_cache_mb" in text
    assert "draft.model_depth = 0" in text
    assert "smaller pair" in text
    assert "quantised to 4 bits (about 4.5 GB) in llama.cpp's server" in text
    assert error.value.free == 17 * GB


def test_no_way_is_named_that_does_not_help() -> None:
    with pytest.raises(DoesNotFit) as error:
        check_fits([TARGET, DRAFT], 8 * GB, "cuda:0", gpu=True)
    assert "kv_cache_mb" not in str(error.value)
    assert "model_depth" not in str(error.value)
    assert 'engine.device = "cpu"' in str(error.value)


def test_on_a_cpu_only_weights_count_and_it_is_no_way_out() -> None:
    check_fits([Need("target", 14 * GB, 0)], 14 * GB, "cpu (2 threads)", gpu=False)
    with pytest.raises(DoesNotFit) as error:
        check_fits([Need("target", 15 * GB, 0)], 14 * GB, "cpu (2 threads)", gpu=False)
    assert "needs 15.0 GB (target 15.0 GB) and cpu (2 threads) has 14.0 GB" in str(error.value)
    assert "engine.device" not in str(error.value)
