"""From folders of code to an adapter or a draft: the steps of each command, in order."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging

from umbrella_engine.distill import data
from umbrella_engine.distill.card import card
from umbrella_engine.distill.continuations import continue_rows
from umbrella_engine.distill.corpus import Corpus, Document
from umbrella_engine.distill.data import About, Rows, Source
from umbrella_engine.distill.draft import (
    DraftModel,
    DraftTask,
    draft_config,
    frequent_tokens,
)
from umbrella_engine.distill.fim import FimTask, choose_sentinels, fim_tokens
from umbrella_engine.distill.results import save_adapter, save_draft, save_whole
from umbrella_engine.distill.rows import make_rows
from umbrella_engine.distill.training import Run, Schedule, Training
from umbrella_engine.errors import ModelMismatch
from umbrella_engine.families import read_config
from umbrella_engine.hardware import choose_device, choose_dtype, device_name
from umbrella_engine.interface import Progress, Report
from umbrella_engine.tokenizer import load_tokenizer

CARD: Final = "MODEL_CARD.md"
HELDOUT_ROWS: Final = 400
OWN_ROWS: Final = 192  # held-out prompts that the target answers, for judging a draft


class RowSettings(msgspec.Struct, frozen=True):
    """How rows are cut."""

    rows: int = 20_000  # at most
    row_tokens: int = 1024
    seed: int = 11
    processes: int = 2
    command: str = ""  # for the card


class FimSettings(msgspec.Struct, frozen=True):
    """What of a target is trained."""

    rank: int = 32  # 0: all weights
    alpha: float = 32.0


class DraftSettings(msgspec.Struct, frozen=True):
    """The shape of a draft, and what it learns from besides code."""

    layers: int = 2
    width: int = 0  # 0: the target's, up to 1024
    intermediate: int = 0  # 0: twice the width
    output_vocab: int = 8192  # tokens that it may speak; 0: all
    own_share: float = 0.25  # of the time, in which the target writes texts to learn from
    own_tokens: int = 40  # of each
    own_at_once: int = 256  # answers written side by side


@dataclass(frozen=True, slots=True)
class Bench:
    """What all commands have in common."""

    target: Path  # model folder
    out: Path
    device: str  # as in EngineConfig
    command: str  # for the card
    report: Report
    schedule: Schedule = field(default_factory=Schedule)

    def model(self, *, exact: bool = False) -> PreTrainedModel:
        """Load the target for training; `exact` in fp32."""
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        device = choose_device(self.device)
        dtype = torch.float32 if exact else choose_dtype("auto", device)
        self.report(Progress("loading", f"loading {self.target.name}"))
        torch.set_float32_matmul_precision("high")
        found: Any = AutoModelForCausalLM.from_pretrained(
            self.target, dtype=dtype, attn_implementation="sdpa", local_files_only=True
        )
        model: PreTrainedModel = found.to(device)
        return model

    def run(self, task: Any, train: Rows, heldout: Rows) -> Run:
        """Train a task, or go on with it."""
        training = Training(task, self.out / "training", Run(self.schedule), self.report)
        return training.train(train, heldout)

    def write_card(self, title: str, about: About, run: Run, shape: str) -> None:
        """Write the card beside what was trained."""
        machine = device_name(choose_device(self.device))
        text = card(title, self.command, about, run, shape, machine)
        (self.out / CARD).write_text(text, "utf-8")


def cut_rows(
    corpus: Corpus, target: Path, settings: RowSettings, report: Report
) -> tuple[Rows, Rows, About]:
    """Lay documents out as rows for a target, with its FIM tokens or those it will get."""
    tokenizer = load_tokenizer(target)
    sentinels = {}
    if tokenizer.fim is None:
        sentinels = choose_sentinels(tokenizer, read_config(target).vocab)
    fim = fim_tokens(sentinels, tokenizer)
    made = [
        data.pack(
            make_rows(
                documents,
                target,
                fim,
                length=settings.row_tokens,
                most=most,
                seed=settings.seed + number,
                processes=settings.processes,
                report=report,
            )
        )
        for number, (documents, most) in enumerate(
            ((corpus.train, settings.rows), (_mixed(corpus.heldout), HELDOUT_ROWS))
        )
    ]
    languages = Counter[str]()
    for document in corpus.train:
        languages[document.language] += len(document.text)
    about = About(
        target=target.name,
        sentinels=sentinels,
        seed=settings.seed,
        row_tokens=settings.row_tokens,
        rows=len(made[0]),
        tokens=len(made[0].ids),
        heldout_rows=len(made[1]),
        languages=dict(languages),
        left_out=dict(corpus.left_out),
        sources=[
            Source(one.name, one.licence, one.heldout, one.files, one.bytes)
            for one in corpus.repositories
        ],
        command=settings.command,
    )
    return made[0], made[1], about


def _mixed(documents: Sequence[Document]) -> list[Document]:
    """Put documents of different languages in turn."""
    by_language: dict[str, list[Document]] = {}
    for document in documents:
        by_language.setdefault(document.language, []).append(document)
    longest = max(map(len, by_language.values()), default=0)
    return [
        group[place]
        for place in range(longest)
        for group in by_language.values()
        if place < len(group)
    ]


def teach_fim(bench: Bench, rows: tuple[Rows, Rows, About], settings: FimSettings) -> Run:
    """Teach a target to fill in the middle; leaves an adapter, or the whole model, in `bench.out`.

    Raises EngineError.
    """
    train, heldout, about = rows
    model = bench.model(exact=settings.rank == 0)
    if not about.sentinels:
        choose_sentinels(load_tokenizer(bench.target), model.config.vocab_size)  # says why not
    task = FimTask(model, about.sentinels, settings.rank, settings.alpha, bench.schedule.seed)
    run = bench.run(task, train, heldout)
    if settings.rank:
        save_adapter(bench.out, model, about.sentinels, settings.rank, settings.alpha)
        shape = f"A low-rank adapter of rank {settings.rank}, alpha {settings.alpha:g}"
    else:
        save_whole(bench.out, model, about.sentinels, bench.target)
        shape = "All weights of the model"
    shape += f", with {', '.join(f'`{s}` as id {i}' for s, i in about.sentinels.items())}."
    bench.write_card("Fill-in-the-middle adapter", about, run, shape)
    return run


def teach_draft(
    bench: Bench, rows: tuple[Rows, Rows, About], settings: DraftSettings, start: Path | None
) -> Run:
    """Train a draft for a target; leaves its folder in `bench.out`.

    start: folder of a draft to go on from. Raises EngineError.
    """
    train, heldout, about = rows
    target, tokenizer = bench.model(), load_tokenizer(bench.target)
    draft = _new_draft(target, train, settings, bench) if start is None else _from(start, target)
    stop_ids, seconds = sorted(tokenizer.stop_ids), 60 * bench.schedule.minutes
    texts: list[Rows] = []
    for one, most, share, seed in (
        (heldout, OWN_ROWS, 1.0, 1),
        (train, len(train) // 2, settings.own_share, bench.schedule.seed),
    ):
        made = continue_rows(
            target,
            one,
            stop_ids,
            tokens=settings.own_tokens,
            at_once=min(settings.own_at_once, most),
            most=most,
            seconds=share * seconds if math.isfinite(seconds) else math.inf,
            seed=seed,
            report=bench.report,
        )
        texts.append(data.pack(made))
    judged = texts[0] if len(texts[0]) else heldout
    run = bench.run(
        DraftTask(target, draft, bench.schedule.seed), data.join(train, texts[1]), judged
    )
    figures = dict(run.judgements[-1].figures)
    save_draft(bench.out, draft, bench.target, {"judged": figures})
    config = draft.config
    shape = (
        f"A draft of {config.num_hidden_layers} layers of width {config.hidden_size} "
        f"(inner {config.intermediate_size}), speaking {len(draft.output_ids):,} tokens, between "
        f"the tables of its target; {len(texts[1]):,} texts of the target's own were learned too."
    )
    bench.write_card("Draft", about, run, shape)
    return run


def _new_draft(
    target: PreTrainedModel, train: Rows, settings: DraftSettings, bench: Bench
) -> DraftModel:
    torch.manual_seed(bench.schedule.seed)
    tokenizer = load_tokenizer(bench.target)
    config = draft_config(target, settings.layers, settings.width, settings.intermediate)
    ids = frequent_tokens(train, tokenizer, config.vocab_size, settings.output_vocab)
    width = target.config.get_text_config(decoder=True).hidden_size
    draft = DraftModel(config, width, ids)
    draft.begin_as(target)
    return draft


def _from(folder: Path, target: PreTrainedModel) -> DraftModel:
    from transformers import LlamaConfig

    tensors = load_file(folder / "model.safetensors")
    raw = msgspec.json.decode((folder / "config.json").read_bytes(), type=dict[str, Any])
    raw |= {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    width = target.config.get_text_config(decoder=True).hidden_size
    draft = DraftModel(LlamaConfig.from_dict(raw), width, tensors.pop("output_ids").long())
    try:
        draft.load_state_dict({name: one.float() for name, one in tensors.items()})
    except RuntimeError as error:
        raise ModelMismatch(f"{folder} is no draft for {target.name_or_path}: {error}") from error
    return draft
