"""Weights that are learned as themselves plus a product of two thin matrices (LoRA).

The sum is formed once a step, before the forward pass, so activations cost nothing extra; what is
trained is what merging gives. LoRA: Hu et al., arXiv 2106.09685.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

HEADS: Final = ("lm_head", "embed_out", "output")  # linear layers that are no part of a layer


class LowRank(nn.Module):
    """The thin matrices of one weight, in fp32."""

    def __init__(self, weight: Tensor, rank: int, scale: float) -> None:
        super().__init__()
        out, inside = weight.shape
        self.scale = scale
        self.a = nn.Parameter(torch.empty(rank, inside, device=weight.device))
        self.b = nn.Parameter(torch.zeros(out, rank, device=weight.device))
        nn.init.uniform_(self.a, -(inside**-0.5), inside**-0.5)

    def forward(self, weight: Tensor) -> Tensor:
        """Give the weight in force."""
        return weight + ((self.scale * self.b) @ self.a).to(weight.dtype)


class TrainedRows(nn.Module):
    """Some rows of a table that are learned, the others as they were."""

    def __init__(self, table: Tensor, rows: Tensor) -> None:
        super().__init__()
        self.register_buffer("rows", rows.to(table.device))
        with torch.no_grad():
            spread = float(table.float().std())
            start = table.float().mean(0) + spread * torch.randn(
                len(rows), table.shape[1], device=table.device
            )
        self.values = nn.Parameter(start)

    def forward(self, table: Tensor) -> Tensor:
        """Give the table in force."""
        rows: Tensor = self.get_buffer("rows")
        return table.index_copy(0, rows, self.values.to(table.dtype))


def attach(model: nn.Module, rank: int, alpha: float, rows: Tensor) -> None:
    """Freeze `model`; make its linear layers low-rank learners and `rows` of its table learned."""
    model.requires_grad_(False)
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear) and name.rpartition(".")[2] not in HEADS:
            learner = LowRank(module.weight, rank, alpha / rank)
            parametrize.register_parametrization(module, "weight", learner, unsafe=True)
    table: Any = model.get_input_embeddings()  # type: ignore[operator]
    learned = TrainedRows(table.weight, rows)
    parametrize.register_parametrization(table, "weight", learned, unsafe=True)


def in_force() -> AbstractContextManager[None]:
    """Form each learned weight once within this context."""
    return parametrize.cached()


def learned(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Give what was learned, by the names that PEFT's files use."""
    for name, module in model.named_modules():
        if isinstance(module, LowRank):
            layer = name.partition(".parametrizations")[0]
            yield f"base_model.model.{layer}.lora_A.weight", module.a
            yield f"base_model.model.{layer}.lora_B.weight", module.b
        elif isinstance(module, TrainedRows):
            layer = name.partition(".parametrizations")[0]
            yield f"base_model.model.{layer}.token_adapter.trainable_tokens_delta", module.values
