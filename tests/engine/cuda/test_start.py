"""What makes a start short: weights through pinned buffers, kernels compiled ahead of their use."""

from pathlib import Path

import pytest
import torch

from tests.engine.cuda.test_fused import SIZES, random_decoder

pytestmark = pytest.mark.gpu
GPU = torch.device("cuda")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_uploaded_weights_are_what_they_were(dtype: torch.dtype) -> None:
    from umbrella_engine.cuda.upload import PIECE, Upload

    generator = torch.Generator().manual_seed(1)
    sizes = [(3,), (PIECE // 4,), (PIECE // 4 + 5, 7), (1025, 1033), (30, PIECE // 8)]
    tensors = [torch.randn(*size, generator=generator).to(torch.bfloat16) for size in sizes]
    with Upload(GPU) as upload:
        # some are joined at once, as projections are, so that memory is used again
        joined = [torch.cat([upload(each, dtype), upload(each, dtype)]) for each in tensors]
    for found, tensor in zip(joined, tensors, strict=True):
        assert torch.equal(found.cpu(), torch.cat([tensor, tensor]).to(dtype))


def test_kernels_compiled_ahead_are_all_that_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from umbrella_engine.cuda.assemble import fuse
    from umbrella_engine.cuda.compiling import compile_ahead, held_back
    from umbrella_engine.cuda.graphs import Graph

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    SIZES["start"] = (192, 6, 3, 32, 320, 777)  # no other test has it: nothing is compiled yet
    fused = fuse(random_decoder("start", torch.bfloat16, "Qwen2ForCausalLM", 333))

    def launch() -> None:
        fused.launch(8, logits=True)

    told: list[tuple[int, int]] = []
    compile_ahead([launch, launch], lambda done, total: told.append((done, total)))
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1] == len(told) - 1 >= 7
    needed: dict[object, str] = {}
    with held_back(needed):  # type: ignore[arg-type]
        launch()
    torch.cuda.synchronize()
    assert not needed
    compile_ahead([launch], lambda _done, _total: pytest.fail("compiled twice"))
    Graph(launch, GPU).replay()
    torch.cuda.synchronize()
