"""A small draft that learns the target's own distribution, over the target's own tables.

Its first table is the target's embedding, its last one the target's head, both unchanged and not
stored with it; a few layers of Llama's shape between them are learned, with a matrix where the
widths differ. They begin as the target's first layers where these have the same shape. It may
speak only the tokens that are frequent in code (`output_ids`): reading the head is most of what a
draft this small costs. The loss is the divergence from the target's distribution over those tokens.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaModel, PreTrainedModel

from umbrella_engine.distill.data import Rows
from umbrella_engine.distill.fim import body, head_weight
from umbrella_engine.interface import Tokenizer

RANKS: Final = 4
OTHERS: Final = 0.5  # of the tokens outside of answers that count
JUDGED_ROWS: Final = 192
JUDGED_AT_ONCE: Final = 16
ROPE_THETA: Final = 10000.0
FIRST_SCALE: Final = 0.3  # of what enters the head: guesses of a few layers begin as unsure ones


class DraftModel(nn.Module):
    """The learned part."""

    output_ids: Tensor

    def __init__(self, config: LlamaConfig, target_width: int, output_ids: Tensor) -> None:
        super().__init__()
        self.config = config
        self.model = LlamaModel(config)
        self.model.embed_tokens = nn.Identity()  # type: ignore[assignment]
        width = config.hidden_size
        self.in_proj = nn.Linear(target_width, width, bias=False) if width != target_width else None
        self.out_proj = nn.Linear(width, target_width, bias=False)
        if self.in_proj is None:
            nn.init.eye_(self.out_proj.weight)
        with torch.no_grad():
            self.out_proj.weight.mul_(FIRST_SCALE)
        self.register_buffer("output_ids", output_ids, persistent=False)

    def forward(self, embedded: Tensor) -> Tensor:
        """Turn embeddings [rows, tokens, target width] into what the target's head reads."""
        inner = embedded if self.in_proj is None else self.in_proj(embedded)
        states: Tensor = self.model(inputs_embeds=inner, use_cache=False).last_hidden_state
        return states

    def begin_as(self, target: PreTrainedModel) -> bool:
        """Take over the target's first layers and last norm; say whether their shapes are alike."""
        source: Any = body(target)
        layers = [*getattr(source, "layers", [])][: len(self.model.layers)]
        theirs = [one.state_dict() for one in (*layers, getattr(source, "norm", nn.Identity()))]
        mine = [*self.model.layers, self.model.norm]
        shapes = [_shapes(one.state_dict()) for one in mine]
        if self.in_proj is not None or list(map(_shapes, theirs)) != shapes:
            return False
        for one, state in zip(mine, theirs, strict=True):
            one.load_state_dict(state)
        return True


def _shapes(state: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in state.items()}


def draft_config(
    target: PreTrainedModel, layers: int, width: int, intermediate: int
) -> LlamaConfig:
    """Give a shape like the target's, smaller; `width` 0: the target's own, up to 1024."""
    text = target.config.get_text_config(decoder=True)
    head_dim = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    width = width or min(text.hidden_size, 1024)
    heads = max(1, width // head_dim)
    groups = max(1, text.num_attention_heads // (text.num_key_value_heads or 1))
    kv_heads = next(n for n in range(max(1, heads // groups), heads + 1) if heads % n == 0)
    return LlamaConfig(
        vocab_size=text.vocab_size,
        hidden_size=width,
        intermediate_size=intermediate or 2 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=head_dim,
        max_position_embeddings=text.max_position_embeddings,
        rms_norm_eps=getattr(text, "rms_norm_eps", 1e-5),
        rope_parameters={"rope_type": "default", "rope_theta": _rope_theta(text)},
        tie_word_embeddings=False,
    )


def _rope_theta(text: Any) -> float:
    """Give the base of the target's rotation where it is a plain one."""
    known = getattr(text, "rope_parameters", None) or {}
    return float(known.get("rope_theta", ROPE_THETA))


def frequent_tokens(rows: Rows, tokenizer: Tokenizer, vocab: int, count: int) -> Tensor:
    """Give the ids that a draft may speak, ascending: the most frequent ones and all ends.

    `count` 0: the whole vocabulary.
    """
    if count == 0 or count >= vocab:
        return torch.arange(vocab)
    seen = np.bincount(rows.ids, minlength=vocab)[:vocab]
    ends = [token for token in tokenizer.stop_ids if token < vocab]
    seen[ends] = seen.max() + 1
    best = np.argsort(-seen, kind="stable")[:count]
    return torch.from_numpy(np.sort(best))


class DraftTask:
    """A draft that learns from a target; see `training.Task`."""

    def __init__(self, target: PreTrainedModel, draft: DraftModel, seed: int) -> None:
        self.target = target
        target.requires_grad_(False).eval()  # type: ignore[no-untyped-call]
        self.draft = draft.to(device=target.device)
        self._head = head_weight(target)[draft.output_ids.to(target.device)]
        self._random = torch.Generator(device=target.device).manual_seed(seed)

    def parameters(self) -> dict[str, Tensor]:
        """Give what is trained, by name; see `Task`."""
        return dict(self.draft.named_parameters())

    def learn(self, rows: Rows, chosen: Sequence[int]) -> tuple[Tensor, int]:
        """Give the loss of some rows; see `Task`."""
        batch = rows.batch(chosen).to(self.target.device)
        real, answer = batch.next_tokens()
        drawn = torch.rand(real.shape, generator=self._random, device=real.device)
        wanted, said = self._both(batch.ids, answer | (real & (drawn < OTHERS)))
        loss = functional.cross_entropy(said, wanted.softmax(-1))
        return loss, int(batch.lengths.sum())

    def judge(self, rows: Rows) -> tuple[float, dict[str, float]]:
        """Say how often the target's choice is the draft's first, or among its first four.

        Judged in answers alone. A choice that the draft cannot speak counts as missed.
        """
        hits, places = torch.zeros(RANKS, dtype=torch.int64), 0
        for start in range(0, min(JUDGED_ROWS, len(rows)), JUDGED_AT_ONCE):
            batch = rows.batch(range(start, min(start + JUDGED_AT_ONCE, len(rows))))
            batch = batch.to(self.target.device)
            _, answer = batch.next_tokens()
            states = body(self.target)(input_ids=batch.ids, use_cache=False).last_hidden_state
            chosen = functional.linear(states[:, :-1][answer], head_weight(self.target)).argmax(-1)
            _, said = self._both(batch.ids, answer)
            guesses = self.draft.output_ids[said.topk(RANKS, dim=-1).indices]
            hits += (guesses == chosen[:, None]).sum(0).cpu()
            places += len(chosen)
        shares = (hits.cumsum(0) / max(1, places)).tolist()
        figures = {f"top-{rank}": shares[rank - 1] for rank in (1, 2, RANKS)}
        return 1 - shares[0], figures

    def _both(self, ids: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
        """Give the target's and the draft's logits over what the draft may speak, in fp32."""
        with torch.no_grad():
            states = body(self.target)(input_ids=ids, use_cache=False).last_hidden_state
            wanted = functional.linear(states[:, :-1][counted], self._head).float()
            embedded = self.target.get_input_embeddings()(ids)
        kind = self.target.device.type
        with torch.autocast(kind, torch.bfloat16, enabled=self._head.dtype == torch.bfloat16):
            mine = self.draft(embedded)[:, :-1][counted]
            said = functional.linear(self.draft.out_proj(mine), self._head).float()
        return wanted, said
