"""A few tokens that prove, when a model is loaded, that its module does what trees need.

A branching tree runs through our attention and cache; the same texts run through the same module as
plain text, with transformers' eager attention and no cache. Families that ignore the attention
interface, keep a memory of their own or let positions drift give other logits, silently.
"""

from typing import Final

import torch
from torch import Tensor

from umbrella_engine.errors import EngineError, UnsupportedModel
from umbrella_engine.hf_attention import NAME
from umbrella_engine.hf_model import HFDecoder
from umbrella_engine.language_model import LanguageModel
from umbrella_engine.tree import Tree

PROMPT: Final = 6  # tokens, computed in two chunks
BRANCHES: Final = 3  # below the root, each a chain
DEPTH: Final = 3
# largest distance of a row of logits from the truth, in units of the row's own spread
LIMITS: Final = {torch.float32: 1e-3, torch.bfloat16: 0.2, torch.float16: 0.05}
ADVICE: Final = "Choose a model of another family; the engine's README lists those that were tested"


def self_test(decoder: HFDecoder) -> None:
    """Raise UnsupportedModel where trees give other logits than plain text."""
    name = decoder.config.architecture
    ids = [(7919 * i + 11) % decoder.config.vocab for i in range(PROMPT + BRANCHES * DEPTH + 1)]
    prompt, drafted, after = ids[:PROMPT], ids[PROMPT:-1], ids[-1]
    texts = [[*prompt, *drafted[branch::BRANCHES], after] for branch in range(BRANCHES)]
    try:
        ours = _tree_logits(decoder, prompt, texts)
        truth = _plain_logits(decoder, texts)
    except (EngineError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # a foreign module may fail in any way
        raise UnsupportedModel(
            f"{name} cannot run over our cache: {type(error).__name__}: {error}. {ADVICE}"
        ) from error
    found, limit = distance(ours, truth, decoder.dtype), limit_of(decoder.dtype)
    if not found <= limit:  # NaN too
        raise UnsupportedModel(
            f"{name} gives other logits for a tree of drafted tokens than for the same tokens as "
            f"plain text (relative distance {found:.2g}, rounding is below {limit:g}): its "
            f"layers ignore our attention or keep a memory of their own. {ADVICE}"
        )


def distance(ours: Tensor, truth: Tensor, dtype: torch.dtype) -> float:
    """Give how far rows of logits are from the truth, in units of the rows' own spread."""
    distances = (ours - truth).norm(dim=-1) / (truth - truth.mean(-1, keepdim=True)).norm(dim=-1)
    # in half precision a row may take other experts on a near tie; most rows never do
    return float(distances.max() if dtype == torch.float32 else distances.median())


def limit_of(dtype: torch.dtype) -> float:
    """Give the distance up to which rounding explains it."""
    return LIMITS[dtype]


def _tree_logits(decoder: HFDecoder, prompt: list[int], texts: list[list[int]]) -> Tensor:
    """Go the way of a request: prefill in chunks, a tree, a kept branch, one more token.

    Returns logits [rows, vocab]: the root, the nodes level by level, the token after the branch.
    """
    tree = Tree()
    for depth in range(1, DEPTH + 1):  # branches interleave, so that a causal mask is wrong
        for text in texts:
            tree.add_chain(text[PROMPT : PROMPT + depth])
    with LanguageModel(decoder, chunk_tokens=PROMPT // 2).open(prompt) as context:
        rest = context.prefill(prompt, checkpoint=lambda: None)
        rows = context.evaluate(rest, tree)
        context.keep(tree, tree.path(len(tree) - 1))
        return torch.cat((rows, context.evaluate(texts[-1][-1:], Tree())))


@torch.inference_mode()
def _plain_logits(decoder: HFDecoder, texts: list[list[int]]) -> Tensor:
    """Give the same rows computed as plain texts."""
    module = decoder.module
    module.set_attn_implementation("eager")
    try:
        logits = module(torch.tensor(texts, device=decoder.device), use_cache=False).logits
    finally:
        module.set_attn_implementation(NAME)
    nodes = logits[:, PROMPT : PROMPT + DEPTH].transpose(0, 1).flatten(0, 1)
    return torch.cat((logits[:1, PROMPT - 1], nodes, logits[-1:, -1]))
