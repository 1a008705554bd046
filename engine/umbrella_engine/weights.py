"""Safetensors folder → packed tensors: QKV and gate-up projections joined once, at load.

Knows names and shapes of Llama-like checkpoints; knows nothing of how they are used.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from umbrella_engine.cuda.upload import Upload
from umbrella_engine.errors import UnsupportedModel, WeightsError
from umbrella_engine.model_config import ModelConfig

Reader = Callable[[str], Tensor | None]  # tensor name → tensor, None where there is none
GATED = (("gate_proj", "up_proj"), "down_proj")  # names of an MLP's projections
PLAIN = (("c_fc",), "c_proj")
LayerDone = Callable[[int, int], None]  # layers read so far, layers in all


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One decoder layer. Projections are [out, in]; q and kv are heads times head_dim."""

    input_norm: Tensor  # [hidden]
    input_norm_bias: Tensor | None  # [hidden], of layer norms
    qkv: Tensor  # [q + 2·kv, hidden]
    qkv_bias: Tensor | None  # [q + 2·kv]
    q_norm: Tensor | None  # [head_dim]
    k_norm: Tensor | None  # [head_dim]
    output: Tensor  # [hidden, q]
    output_bias: Tensor | None  # [hidden]
    post_norm: Tensor  # [hidden]
    post_norm_bias: Tensor | None  # [hidden]
    gate_up: Tensor  # [2·intermediate, hidden]; [intermediate, hidden] where there is no gate
    gate_up_bias: Tensor | None  # [2·intermediate] or [intermediate]
    down: Tensor  # [hidden, intermediate]
    down_bias: Tensor | None  # [hidden]


@dataclass(frozen=True, slots=True)
class DecoderWeights:
    """All of a model; `head` is `embedding` itself where the two are tied."""

    embedding: Tensor  # [vocab, hidden]
    layers: tuple[LayerWeights, ...]
    norm: Tensor  # [hidden]
    norm_bias: Tensor | None  # [hidden]
    head: Tensor  # [vocab, hidden]


def load_weights(
    folder: Path,
    config: ModelConfig,
    dtype: torch.dtype,
    device: torch.device,
    layer_done: LayerDone = lambda _done, _total: None,
    instead: Mapping[str, Tensor] = MappingProxyType({}),
) -> DecoderWeights:
    """Read every `*.safetensors` of `folder` into the packed layout.

    `instead`: tensors by name that are taken as they are, whatever the files hold.
    Raises WeightsError where a file is missing or damaged, UnsupportedModel where a tensor is.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise WeightsError(f"{folder} holds no *.safetensors file")
    with ExitStack() as stack:
        try:
            opened = [stack.enter_context(safe_open(f, "pt", device="cpu")) for f in files]
        except (SafetensorError, OSError) as error:
            raise WeightsError(f"a weight file in {folder} cannot be read: {error}") from error
        where = {name: handle for handle in opened for name in handle.keys()}  # noqa: SIM118
        move = stack.enter_context(Upload(device)) if device.type == "cuda" else _converted

        def read(name: str) -> Tensor | None:
            if name in instead:
                return instead[name]
            handle = where.get(name)
            return None if handle is None else move(handle.get_tensor(name), dtype)

        return pack_weights(config, read, layer_done)


def _converted(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype)


def pack_weights(
    config: ModelConfig, read: Reader, layer_done: LayerDone = lambda _done, _total: None
) -> DecoderWeights:
    """Join the tensors that `read` gives by their checkpoint names."""

    def need(name: str) -> Tensor:
        tensor = read(name)
        if tensor is None:
            raise UnsupportedModel(f"the checkpoint has no tensor {name}")
        return tensor

    def joined(names: list[str]) -> Tensor:
        return torch.cat([need(name) for name in names])

    def joined_or_none(names: list[str]) -> Tensor | None:
        parts = [part for part in map(read, names) if part is not None]
        if parts and len(parts) != len(names):
            raise UnsupportedModel(f"the checkpoint has only some of {', '.join(names)}")
        return torch.cat(parts) if parts else None

    up_parts, down_part = GATED if config.gated else PLAIN
    layers = []
    for index in range(config.n_layers):
        prefix = f"model.layers.{index}."
        qkv = [f"{prefix}self_attn.{part}_proj" for part in "qkv"]
        gate_up = [f"{prefix}mlp.{part}" for part in up_parts]
        down = f"{prefix}mlp.{down_part}"
        layers.append(
            LayerWeights(
                input_norm=need(f"{prefix}input_layernorm.weight"),
                input_norm_bias=read(f"{prefix}input_layernorm.bias"),
                qkv=joined([f"{name}.weight" for name in qkv]),
                qkv_bias=joined_or_none([f"{name}.bias" for name in qkv]),
                q_norm=read(f"{prefix}self_attn.q_norm.weight"),
                k_norm=read(f"{prefix}self_attn.k_norm.weight"),
                output=need(f"{prefix}self_attn.o_proj.weight"),
                output_bias=read(f"{prefix}self_attn.o_proj.bias"),
                post_norm=need(f"{prefix}post_attention_layernorm.weight"),
                post_norm_bias=read(f"{prefix}post_attention_layernorm.bias"),
                gate_up=joined([f"{name}.weight" for name in gate_up]),
                gate_up_bias=joined_or_none([f"{name}.bias" for name in gate_up]),
                down=need(f"{down}.weight"),
                down_bias=read(f"{down}.bias"),
            )
        )
        layer_done(index + 1, config.n_layers)
    embedding = need("model.embed_tokens.weight")
    return DecoderWeights(
        embedding=embedding,
        layers=tuple(layers),
        norm=need("model.norm.weight"),
        norm_bias=read("model.norm.bias"),
        head=embedding if config.tied_head else need("lm_head.weight"),
    )
