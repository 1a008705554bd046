"""From a pair's description to a resident engine: parts are made here and handed in.

Everything that can be wrong between target and draft is found here, once, before the first request.
"""

import filecmp
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import torch

from umbrella_engine.config import (
    AttentionSetting,
    DraftConfig,
    DraftPreset,
    EngineConfig,
    PairConfig,
)
from umbrella_engine.cuda.captured import Captured
from umbrella_engine.cuda.support import reason_against_device
from umbrella_engine.device_steps import DeviceSteps, HostSteps
from umbrella_engine.draft import presets
from umbrella_engine.draft.drawn import drawing
from umbrella_engine.draft.texts import Texts
from umbrella_engine.drafting import choose_preset, make_parts
from umbrella_engine.engine import SpeculativeEngine
from umbrella_engine.errors import EngineError, ModelMismatch, UnsupportedModel
from umbrella_engine.families import (
    AnyConfig,
    load_decoder,
    load_shared_draft,
    read_config,
    tables_of,
)
from umbrella_engine.hardware import (
    apply_threads,
    choose_device,
    choose_dtype,
    device_name,
    free_bytes,
)
from umbrella_engine.healing import Healing
from umbrella_engine.interface import EngineInfo, Progress, Report
from umbrella_engine.kv_cache import KVCache
from umbrella_engine.language_model import LanguageModel
from umbrella_engine.memory import Need, check_fits
from umbrella_engine.model_config import SHARED_DRAFT, ModelConfig
from umbrella_engine.prefix_cache import lanes_for_budget
from umbrella_engine.shape import defaults
from umbrella_engine.shape.costs import Costs
from umbrella_engine.shape.tuning import Subject, Tuning, read
from umbrella_engine.sources import fetch_model
from umbrella_engine.tokenizer import HFTokenizer, load_tokenizer, vocabulary_difference

AHEAD_TOKENS = 128  # what steps of the device may write before the host stops them
PREFILL_CHUNK_TOKENS = {"cpu": 64, "cuda": 1024}  # about one short forward pass on each


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model folder with what was read from it."""

    role: str  # "target" or "draft"
    folder: Path
    config: AnyConfig
    tokenizer: HFTokenizer


@dataclass(frozen=True, slots=True)
class Placing:
    """Where and how large: common to target and draft."""

    device: torch.device
    dtype: torch.dtype
    context_tokens: int
    attention: AttentionSetting
    capacity: int  # slots of a lane: the context and the scratch slots of a tree
    n_lanes: int
    chunk_tokens: int


@dataclass(frozen=True, slots=True)
class Models:
    """A pair in memory."""

    tokenizer: HFTokenizer
    healing: Healing
    target: LanguageModel
    draft: LanguageModel | None
    device: torch.device
    assumed: Costs  # while nobody has measured
    info: EngineInfo


def load(
    pair: PairConfig,
    engine: EngineConfig,
    draft: DraftConfig,
    directory: Path,
    report: Report,
    *,
    offline: bool = False,
    tunings: Path | None = None,
) -> SpeculativeEngine:
    """Fetch what is missing into `directory`, load the pair, prove that it fits together.

    `tunings` is where `umbrella tune` keeps what it measured; without it, or before that,
    assumptions take its place. Raises WeightsError, UnsupportedModel, ModelMismatch or EngineError,
    each with what to do.
    """
    tuning = _find_tuning(subject_of(pair, engine), tunings, report)
    if choose_preset(draft, tuning) not in presets.ASKING_THE_MODEL:
        pair = msgspec.structs.replace(pair, draft=None)
    models = load_models(pair, engine, draft, directory, report, offline=offline)
    parts = make_parts(
        draft,
        models.draft,
        models.healing,
        models.tokenizer,
        tuning=tuning,
        assumed=models.assumed,
    )
    preset = choose_preset(draft, tuning)
    captured = capture_steps(models, (preset,), draft, report)
    device: DeviceSteps = HostSteps()
    own = parts
    if captured is not None:
        texts = Texts(models.tokenizer.fim, parts.references)
        device = captured.loop(preset, texts, parts.acceptance[0])
        # what the device drafts by itself, the host's drafter leaves to it
        own = replace(parts, model=None)
    return SpeculativeEngine(
        info=models.info,
        tokenizer=models.tokenizer,
        target=models.target,
        drafter=presets.make(preset, own),
        healing=models.healing,
        drawing=drawing(parts),
        references=parts.references,
        device=device,
    )


def capture_steps(
    models: Models, names: Collection[DraftPreset], config: DraftConfig, report: Report
) -> Captured | None:
    """Capture what a GPU can do without the host; None where there is no such thing."""
    if reason_against_device(models.device):
        return None
    from umbrella_engine.cuda.assemble import capture

    def told(message: str) -> Callable[[int, int], None]:
        return lambda count, total: report(Progress("loading", message, count, total))

    return capture(
        models.target,
        models.draft,
        names,
        config,
        told("capturing the steps of the device"),
        told("compiling kernels"),
    )


def load_models(
    pair: PairConfig,
    engine: EngineConfig,
    draft: DraftConfig,
    directory: Path,
    report: Report,
    *,
    offline: bool = False,
) -> Models:
    """Load target and draft, whatever they are used for; raises as `load` does."""
    apply_threads(engine)
    device = choose_device(engine.device)
    dtype = choose_dtype(engine.dtype, device)
    sources = {"target": pair.target}
    if pair.draft is not None and draft.enabled and draft.model_depth > 0:
        sources["draft"] = pair.draft
    checkpoints: list[Checkpoint] = []
    for role, source in sources.items():
        folder = fetch_model(source, directory, report, offline=offline)
        checkpoints.append(_open_checkpoint(role, folder, checkpoints))
    target = checkpoints[0]
    for other in checkpoints[1:]:
        _check_vocabulary(target, other)
    placing = _place(checkpoints, engine, draft, device, dtype)
    gpu = device.type == "cuda"
    needs = [_need(checkpoint, placing) for checkpoint in checkpoints]
    check_fits(needs, free_bytes(device), device_name(device), gpu=gpu)
    models: list[LanguageModel] = []
    for checkpoint in checkpoints:
        models.append(_load_model(checkpoint, placing, report, target, models))
    sizes = [_weight_bytes(checkpoint.folder) for checkpoint in checkpoints]
    return Models(
        tokenizer=target.tokenizer,
        healing=Healing(target.tokenizer),
        target=models[0],
        draft=models[1] if len(models) > 1 else None,
        device=device,
        assumed=defaults.costs(device.type, sizes[1] / sizes[0] if len(sizes) > 1 else None),
        info=EngineInfo(
            pair=pair.name,
            target=target.folder.name,
            draft=checkpoints[1].folder.name if len(checkpoints) > 1 else "",
            device=device_name(device),
            dtype=str(dtype).removeprefix("torch."),
            context_tokens=placing.context_tokens,
            lanes=placing.n_lanes,
        ),
    )


def subject_of(pair: PairConfig, engine: EngineConfig) -> Subject:
    """Say what a tuning of this pair is about. Raises EngineError where there is no such device."""
    apply_threads(engine)
    device = choose_device(engine.device)
    dtype = str(choose_dtype(engine.dtype, device)).removeprefix("torch.")
    target, draft = (
        "" if source is None else source.path or source.hub or getattr(source.wheel, "member", "")
        for source in (pair.target, pair.draft)
    )
    return Subject(pair.name, target, draft, device_name(device), dtype)


def _find_tuning(subject: Subject, directory: Path | None, report: Report) -> Tuning | None:
    """Give the tuning of `subject`; one that cannot be read is told of and left alone."""
    try:
        return read(subject, directory) if directory is not None else None
    except EngineError as error:
        report(Progress("loading", str(error)))
        return None


def _need(checkpoint: Checkpoint, placing: Placing) -> Need:
    """Count the bytes of a model on the device; files of 16-bit numbers, as nearly all are."""
    size = placing.dtype.itemsize
    lane = placing.capacity * checkpoint.config.kv_bytes_per_token(size)
    weights = _weight_bytes(checkpoint.folder) * size // 2
    # on a CPU a lane takes memory as it is used
    cache = placing.n_lanes * lane if placing.device.type == "cuda" else 0
    return Need(checkpoint.role, weights, cache)


def _weight_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def _open_checkpoint(role: str, folder: Path, others: Sequence[Checkpoint]) -> Checkpoint:
    config, file = read_config(folder), folder / "tokenizer.json"
    for other in others:  # of one family, mostly the same to the byte: half a second each
        if file.is_file() and filecmp.cmp(file, other.folder / file.name, shallow=False):
            return Checkpoint(role, folder, config, other.tokenizer)
    return Checkpoint(role, folder, config, load_tokenizer(folder))


def _check_vocabulary(target: Checkpoint, draft: Checkpoint) -> None:
    difference = vocabulary_difference(target.tokenizer, draft.tokenizer)
    if not difference and draft.config.vocab < target.tokenizer.vocab_size:
        difference = (
            f"the draft has {draft.config.vocab} embeddings for the target's "
            f"{target.tokenizer.vocab_size} tokens"
        )
    if difference:
        raise ModelMismatch(
            f"{draft.folder.name} cannot draft for {target.folder.name}: {difference}. "
            "Choose a draft of the same tokenizer, or set draft.model_depth = 0"
        )


def _place(
    checkpoints: list[Checkpoint],
    engine: EngineConfig,
    draft: DraftConfig,
    device: torch.device,
    dtype: torch.dtype,
) -> Placing:
    context = min(engine.context_tokens, *(c.config.max_positions for c in checkpoints))
    # a tree's nodes to verify, or all that passes of the draft model read
    capacity = context + max(draft.max_nodes, draft.model_depth * draft.model_width)
    if device.type == "cuda":
        capacity += AHEAD_TOKENS
    lane_bytes = capacity * sum(c.config.kv_bytes_per_token(dtype.itemsize) for c in checkpoints)
    return Placing(
        device=device,
        dtype=dtype,
        context_tokens=context,
        attention=engine.attention,
        capacity=capacity,
        n_lanes=lanes_for_budget(engine.kv_cache_mb * 2**20, lane_bytes),
        chunk_tokens=engine.prefill_chunk_tokens or PREFILL_CHUNK_TOKENS[device.type],
    )


def _load_model(
    checkpoint: Checkpoint,
    placing: Placing,
    report: Report,
    target: Checkpoint,
    loaded: Sequence[LanguageModel],
) -> LanguageModel:
    """Load one model; `loaded` are those before it, the target first."""
    config = checkpoint.config

    def layer_done(done: int, total: int) -> None:
        message = f"loading the {checkpoint.role}, {checkpoint.folder.name}"
        report(Progress("loading", message, done, total))

    layer_done(0, config.n_layers)
    cache = KVCache(config, placing.n_lanes, placing.capacity, placing.dtype, placing.device)

    def tell(message: str) -> None:
        report(Progress("loading", message))

    place = cache, placing.dtype, placing.device, layer_done, placing.attention, tell
    if isinstance(config, ModelConfig) and config.architecture == SHARED_DRAFT:
        if not loaded:
            raise UnsupportedModel(
                f"{checkpoint.folder.name} is a draft that works between the tables of its target; "
                "name it as the draft of that model"
            )
        tables = tables_of(loaded[0].decoder, target.folder, placing.dtype)
        decoder = load_shared_draft(checkpoint.folder, config, tables, *place)
    else:
        decoder = load_decoder(checkpoint.folder, config, *place)
    return LanguageModel(decoder, placing.chunk_tokens)
