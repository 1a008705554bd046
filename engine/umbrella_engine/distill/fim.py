"""Fill-in-the-middle for a target that was never taught it: sentinels, adapter, loss.

The sentinels take ids that mean nothing to the target's users: ids without a token or control
tokens of notebooks and issues. The text behind the hole comes first, so that an answer follows what
it continues, as in all that the target has ever read. Learned are low-rank changes of all linear
layers, or all weights, and the sentinels' embeddings. The loss counts every token of an answer and
a share of the others.
"""

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from umbrella_engine.control_tokens import ORDERS
from umbrella_engine.distill.data import Batch, Rows
from umbrella_engine.distill.low_rank import attach, in_force, learned
from umbrella_engine.errors import UnsupportedModel
from umbrella_engine.interface import FimTokens
from umbrella_engine.tokenizer import HFTokenizer

SPELLINGS: Final = ("<|hole_prefix|>", "<|hole_suffix|>", "<|hole_middle|>")
# control tokens of what is no code, rarest first
SPARE: Final = (
    "<empty_output>", "<jupyter_script>", "<jupyter_output>", "<jupyter_code>", "<jupyter_text>",
    "<jupyter_start>", "<issue_closed>", "<issue_comment>", "<issue_start>",
)  # fmt: skip
OTHERS: Final = 0.25  # of the tokens outside of answers that count
PLAIN_OTHERS: Final = 0.5  # of the tokens of a row without an answer
JUDGED_ROWS: Final = 96
JUDGED_AT_ONCE: Final = 16


def choose_sentinels(tokenizer: HFTokenizer, rows: int) -> dict[str, int]:
    """Choose three ids below `rows`, the height of the embedding, for the sentinels.

    Raises UnsupportedModel where the vocabulary has FIM tokens already or no id to spare.
    """
    if tokenizer.fim is not None:
        raise UnsupportedModel(
            "the target has fill-in-the-middle tokens already; `umbrella distill draft` needs no "
            "adapter for it"
        )
    named = {tokenizer.spelling(token): token for token in range(tokenizer.vocab_size)}
    spare = [named[spelling] for spelling in SPARE if spelling in named]
    spare += [token for token in range(tokenizer.vocab_size) if tokenizer.is_padding(token)]
    spare += range(tokenizer.vocab_size, rows)
    if len(spare) < len(SPELLINGS):
        raise UnsupportedModel(
            "the target's vocabulary has no three ids to spare for fill-in-the-middle tokens; "
            "choose a target that has them"
        )
    return dict(zip(SPELLINGS, spare, strict=False))


def fim_tokens(sentinels: dict[str, int], tokenizer: HFTokenizer) -> FimTokens:
    """Give the sentinels as the engine knows them."""
    if tokenizer.fim is not None:
        return tokenizer.fim
    prefix, suffix, middle = (sentinels[spelling] for spelling in SPELLINGS)
    return FimTokens(prefix, suffix, middle, order=ORDERS[SPELLINGS[0]])


class FimTask:
    """A target that learns to fill in the middle; see `training.Task`."""

    def __init__(
        self, model: PreTrainedModel, sentinels: dict[str, int], rank: int, alpha: float, seed: int
    ) -> None:
        """`rank` 0: all weights are trained."""
        torch.manual_seed(seed)
        self.model = model
        self._full = rank == 0
        if not self._full:
            attach(model, rank, alpha, torch.tensor(sorted(sentinels.values())))
        self._random = torch.Generator(device=model.device).manual_seed(seed)

    def parameters(self) -> dict[str, Tensor]:
        """Give what is trained, by name; see `Task`."""
        if self._full:
            return {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        return dict(learned(self.model))

    def learn(self, rows: Rows, chosen: Sequence[int]) -> tuple[Tensor, int]:
        """Give the loss of some rows; see `Task`."""
        batch = rows.batch(chosen).to(self.model.device)
        counted = self._counted(batch)
        with in_force():
            return self._loss(batch, counted), int(batch.lengths.sum())

    def judge(self, rows: Rows) -> tuple[float, dict[str, float]]:
        """Give the loss on held-out answers and on plain text; see `Task`."""
        sums = {"answer": [0.0, 0], "plain": [0.0, 0]}
        with in_force():
            for start in range(0, min(JUDGED_ROWS, len(rows)), JUDGED_AT_ONCE):
                end = min(start + JUDGED_AT_ONCE, len(rows))
                batch = rows.batch(range(start, end)).to(self.model.device)
                real, answer = batch.next_tokens()
                plain = real & (batch.answers >= batch.lengths)[:, None]
                for name, mask in (("answer", answer), ("plain", plain)):
                    count = int(mask.sum())
                    if count:
                        sums[name][0] += float(self._loss(batch, mask)) * count
                        sums[name][1] += count
        figures = {name: total / max(1, count) for name, (total, count) in sums.items()}
        return figures["answer"] + 0.25 * figures["plain"], figures

    def _counted(self, batch: Batch) -> Tensor:
        """Choose the positions whose prediction counts. [rows, tokens - 1] bool."""
        real, answer = batch.next_tokens()
        drawn = torch.rand(real.shape, generator=self._random, device=real.device)
        share = torch.where(batch.answers < batch.lengths, OTHERS, PLAIN_OTHERS)
        return answer | (real & (drawn < share[:, None]))

    def _loss(self, batch: Batch, counted: Tensor) -> Tensor:
        states = body(self.model)(input_ids=batch.ids, use_cache=False).last_hidden_state
        logits = functional.linear(states[:, :-1][counted], head_weight(self.model))
        return functional.cross_entropy(logits.float(), batch.ids[:, 1:][counted])


def body(model: PreTrainedModel) -> nn.Module:
    """Give the model without its head."""
    inner: nn.Module = model.base_model
    return inner


def head_weight(model: PreTrainedModel) -> Tensor:
    """Give the head's table: the embedding in force where the two are tied."""
    if model.config.get_text_config(decoder=True).tie_word_embeddings:
        table: Any = model.get_input_embeddings()
        shared: Tensor = table.weight
        return shared
    head: Any = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    weight: Tensor = head.weight
    return weight
