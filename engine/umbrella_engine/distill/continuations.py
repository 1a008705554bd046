"""What a target writes by itself after the prompts of rows: the texts that its draft will guess."""

import random
import time
from collections.abc import Iterator, Sequence
from typing import Final

import torch
from transformers import PreTrainedModel

from umbrella_engine.distill.data import Rows
from umbrella_engine.distill.rows import Row
from umbrella_engine.interface import Progress, Report

SPREAD: Final = 48  # tokens by which prompts of one batch may differ; what is more is cut off
SHORTEST: Final = 64  # tokens of a prompt
PLAIN_SHARE: Final = 0.6  # of a plain row that serves as its prompt


def continue_rows(
    target: PreTrainedModel,
    rows: Rows,
    stop_ids: Sequence[int],
    *,
    tokens: int,
    at_once: int,
    most: int,
    seconds: float,
    seed: int,
    report: Report,
) -> list[Row]:
    """Let the target answer prompts greedily, until there are `most` rows or time is up."""
    began, made = time.perf_counter(), list[Row]()
    for prompts in _alike(rows, at_once, most, seed):
        spent = time.perf_counter() - began
        if spent >= seconds or len(made) >= most:
            break
        report(Progress("training", "the target writes answers", int(spent), int(seconds)))
        made += _answers(target, prompts, stop_ids, tokens)
    return made[:most]


def _alike(rows: Rows, at_once: int, most: int, seed: int) -> Iterator[list[list[int]]]:
    """Give prompts in batches of one length, the batches in random order."""
    chosen = list(range(len(rows)))
    rng = random.Random(seed)
    rng.shuffle(chosen)
    prompts = sorted((_prompt(rows, row) for row in chosen[: 2 * most]), key=len)
    prompts = [one for one in prompts if len(one) >= SHORTEST]
    batches = [prompts[at : at + at_once] for at in range(0, len(prompts), at_once)]
    rng.shuffle(batches)
    for batch in batches:
        length = max(len(batch[0]), len(batch[-1]) - SPREAD)
        batch = [one for one in batch if len(one) >= length]
        # the first token says what follows, the text behind it may begin later
        yield [[one[0], *one[1 + len(one) - length :]] for one in batch]


def _prompt(rows: Rows, row: int) -> list[int]:
    ids: list[int] = rows.ids[rows.starts[row] : rows.starts[row + 1]].tolist()
    answer = int(rows.answers[row])
    return ids[: answer if answer < len(ids) else int(PLAIN_SHARE * len(ids))]


def _answers(
    target: PreTrainedModel, prompts: list[list[int]], stop_ids: Sequence[int], tokens: int
) -> Iterator[Row]:
    if not prompts:
        return
    ids = torch.tensor(prompts, device=target.device)
    written = target.generate(  # type: ignore[operator]
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=tokens,
        do_sample=False,
        eos_token_id=list(stop_ids),
        pad_token_id=min(stop_ids),
    )[:, ids.shape[1] :].tolist()
    for prompt, answer in zip(prompts, written, strict=True):
        end = next((n for n, token in enumerate(answer) if token in stop_ids), len(answer) - 1)
        yield Row([*prompt, *answer[: end + 1]], len(prompt))
