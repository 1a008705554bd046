"""How many bytes of weights a forward pass reads, however many rows it has."""

import dataclasses
from typing import TYPE_CHECKING

from torch import Tensor

from umbrella_engine.language_model import ForwardPass
from umbrella_engine.model import Decoder
from umbrella_engine.shared_draft import ReducedOutput
from umbrella_engine.weights import DecoderWeights

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def bytes_read(decoder: ForwardPass) -> int | None:
    """Bytes of all weights but the embedding, of which a row is read; with it where it is the head.

    None where it depends on the rows: of a mixture of experts only some are read.
    """
    if isinstance(decoder, ReducedOutput):
        return bytes_read(decoder.inner)
    plain = getattr(decoder, "plain", decoder)  # below fused kernels
    if isinstance(plain, Decoder):
        return _of_ours(plain.weights)
    module: PreTrainedModel | None = getattr(decoder, "module", None)
    return None if module is None else _of_module(module)


def _of_ours(weights: DecoderWeights) -> int:
    tensors = [weights.norm, weights.norm_bias, weights.head]
    for layer in weights.layers:
        tensors += [getattr(layer, field.name) for field in dataclasses.fields(layer)]
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)


def _of_module(module: "PreTrainedModel") -> int | None:
    parameters = dict(module.named_parameters())  # a tied one comes once
    if any("expert" in name or "moe" in name for name in parameters):
        return None
    head = module.get_output_embeddings()  # type: ignore[no-untyped-call]
    into = module.get_input_embeddings()
    tables: list[Tensor] = [] if head is None else [head.weight]
    known = {id(table) for table in (*tables, into.weight)}
    others = (one for one in parameters.values() if id(one) not in known)
    return sum(one.nbytes for one in (*tables, *others))
