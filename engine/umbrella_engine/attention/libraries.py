"""Flash attention as libraries offer it: torch's own op, flash-attn 2, flash-attn 4.

`causal` reads prompts. `prefix` is half of a step: the rows of a tree over the slots that all of
them see, with the logarithm of what they weigh, so that the other half can be merged with it. Its
lengths and lanes lie on the device: a captured graph serves them all.
"""

from importlib import import_module
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.backends.cuda import SDPAParams, can_use_flash_attention
from torch.nn import functional

HALF = (torch.bfloat16, torch.float16)


class FlashOp(Protocol):
    """What a library computes."""

    name: str

    def causal(self, queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
        """Attend with the newest rows, each to all slots up to its own.

        queries [heads, n, size], keys and values [key heads, length, size]; returns
        [n, heads · size].
        """
        ...

    def prefix(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        lane: Tensor,
        length: Tensor,
        scale: float,
    ) -> tuple[Tensor, Tensor]:
        """Attend to the first `length` slots of `lane`, without a mask.

        queries [key heads, rows, size]; keys and values [lanes, key heads, capacity, size]; lane,
        length: [1] int64 beside them. Returns the same shape as queries, and log-sum-exps
        [key heads, rows] in fp32, which mean nothing where `length` is 0.
        """
        ...


class TorchFlash:
    """torch's flash attention on a GPU."""

    name = "torch"

    def causal(self, queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
        """See `FlashOp`; what torch's flash kernels do not take goes to others, behind a mask.

        `torch.nn.attention.bias` has this choice too, and imports a compiler for it: over a second
        of every start.
        """
        n, length = queries.shape[1], keys.shape[1]
        batch = queries[None], keys[None], values[None]
        attended: Tensor
        if can_use_flash_attention(SDPAParams(*batch, None, 0.0, False, True)):
            # causal from the lower right corner, in this op
            attended = torch.ops.aten._scaled_dot_product_flash_attention(
                *batch, 0.0, True, scale=scale
            )[0]
        else:
            seen = torch.ones(n, length, dtype=torch.bool, device=queries.device)
            attended = functional.scaled_dot_product_attention(
                *batch, attn_mask=seen.tril(length - n), scale=scale, enable_gqa=True
            )
        return attended[0].transpose(0, 1).reshape(n, -1)

    def prefix(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        lane: Tensor,
        length: Tensor,
        scale: float,
    ) -> tuple[Tensor, Tensor]:
        """See `FlashOp`: each key head is a sequence of its own, with one head."""
        kv, rows, size = queries.shape
        out, weights, *_ = torch.ops.aten._flash_attention_forward(
            queries.reshape(-1, 1, size),
            keys.view(-1, 1, size),
            values.view(-1, 1, size),
            starts(kv, rows, lane * 0),
            starts(kv, keys.shape[2], lane),
            rows,
            keys.shape[2],
            0.0,
            False,
            False,
            scale=scale,
            seqused_k=length.to(torch.int32).expand(kv).contiguous(),
        )
        return out.view(queries.shape), weights.view(kv, rows)


class TorchFlashOnCPU(TorchFlash):
    """torch's flash attention on a CPU: the length is read on the host, which is where it is."""

    def prefix(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        lane: Tensor,
        length: Tensor,
        scale: float,
    ) -> tuple[Tensor, Tensor]:
        """See `FlashOp`."""
        held = int(length)
        if not held:
            return torch.zeros_like(queries), torch.zeros(queries.shape[:2])
        own = slice(int(lane), int(lane) + 1), slice(None), slice(held)
        out, weights = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            queries[None], keys[own], values[own], scale=scale
        )
        return out[0], weights[0]


class FlashAttn2:
    """The package `flash-attn`, for Ampere to Hopper."""

    name = "flash-attn 2"

    def __init__(self) -> None:
        """Raise ImportError where it is not installed."""
        self._library: Any = import_module("flash_attn.flash_attn_interface")

    def causal(self, queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
        """See `FlashOp`."""
        rows = (one.transpose(0, 1)[None] for one in (queries, keys, values))
        out: Tensor = self._library.flash_attn_func(*rows, softmax_scale=scale, causal=True)
        return out[0].flatten(1)

    def prefix(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        lane: Tensor,
        length: Tensor,
        scale: float,
    ) -> tuple[Tensor, Tensor]:
        """See `FlashOp`: a key head's rows are tokens, so that its slots are split."""
        out, weights = self._library.flash_attn_with_kvcache(
            queries.transpose(0, 1)[None],
            keys.transpose(1, 2),
            values.transpose(1, 2),
            cache_seqlens=length.to(torch.int32),
            cache_batch_idx=lane.to(torch.int32),
            softmax_scale=scale,
            return_softmax_lse=True,
        )
        return out[0].transpose(0, 1), weights[0]


class FlashAttn4:
    """The package `flash-attn-4`: kernels in CuTe, compiled when they are first used."""

    name = "flash-attn 4"

    def __init__(self) -> None:
        """Raise ImportError where it is not installed."""
        self._library: Any = import_module("flash_attn.cute")

    def causal(self, queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
        """See `FlashOp`."""
        rows = (one.transpose(0, 1)[None] for one in (queries, keys, values))
        out = self._library.flash_attn_func(*rows, softmax_scale=scale, causal=True)
        result: Tensor = out[0] if isinstance(out, tuple) else out
        return result[0].flatten(1)

    def prefix(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        lane: Tensor,
        length: Tensor,
        scale: float,
    ) -> tuple[Tensor, Tensor]:
        """See `FlashOp`: each key head is a sequence of its own, with one head."""
        kv, rows, size = queries.shape
        out, weights, *_ = self._library.flash_attn_varlen_func(
            queries.reshape(-1, 1, size),
            keys.view(-1, 1, size),
            values.view(-1, 1, size),
            cu_seqlens_q=starts(kv, rows, lane * 0),
            cu_seqlens_k=starts(kv, keys.shape[2], lane),
            max_seqlen_q=rows,
            max_seqlen_k=keys.shape[2],
            seqused_k=length.to(torch.int32).expand(kv).contiguous(),
            softmax_scale=scale,
            return_lse=True,
        )
        return out.view(queries.shape), weights.view(kv, rows)


LIBRARIES = (FlashAttn4, FlashAttn2)


def starts(kv: int, each: int, lane: Tensor) -> Tensor:
    """Where the heads of a lane begin among those of all lanes, `each` rows apart: [kv + 1]."""
    heads = torch.arange(kv + 1, device=lane.device)
    return ((lane * kv + heads) * each).to(torch.int32)


def installed(dtype: torch.dtype) -> tuple[list[FlashOp], dict[str, str]]:
    """Give the libraries that compute `dtype`, and why the others do not, by name."""
    found: list[FlashOp] = []
    reasons: dict[str, str] = {}
    for library in LIBRARIES:
        if dtype not in HALF:
            reasons[library.name] = "it computes 16-bit numbers only"
            continue
        try:
            found.append(library())
        except ImportError as error:
            package = (error.name or "flash_attn").partition(".")[0]
            absent = package == "flash_attn"
            reasons[library.name] = "not installed" if absent else f"cannot be imported: {error}"
        except Exception as error:  # a library of another CUDA or another GPU fails as it likes
            reasons[library.name] = f"cannot be imported: {type(error).__name__}: {error}"
    return found, reasons
