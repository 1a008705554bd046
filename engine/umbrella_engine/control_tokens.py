"""How control tokens are spelled, by family; the one list of them.

Families are known by the spelling of their control tokens, never by a model's name. Knows no
vocabulary: which of these are tokens of a model is for the model's own files to say.
"""

import re
from typing import Final

FIM: Final = (  # prefix, suffix, middle
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),  # Qwen, CodeGemma, Granite 3 and 4
    # StarCoder, Granite Code, Stable Code, Yi; Mellum, which was trained suffix first, as well
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),  # SantaCoder
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # DeepSeek  # noqa: RUF001
    ("▁<PRE>", "▁<SUF>", "▁<MID>"),  # CodeLlama
    ("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),  # CodeGeeX
    ("<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>"),  # Seed-Coder
    ("[PREFIX]", "[SUFFIX]", "[MIDDLE]"),  # Codestral and other Mistral vocabularies
    ("<|hole_prefix|>", "<|hole_suffix|>", "<|hole_middle|>"),  # adapters of `umbrella distill fim`
)
ORDERS: Final = {  # of families that are not "psm"
    "<[fim-prefix]>": "spm",
    "[PREFIX]": "sp",
    "<|hole_prefix|>": "sp",
}
PAD: Final = ("<|fim_pad|>", "<fim_pad>", "<fim-pad>")
REPO: Final = ("<|repo_name|>", "<repo_name>", "<|reponame|>", "<reponame>")
FILE: Final = (
    "<|file_sep|>", "<|file_separator|>", "<file_sep>", "<|filename|>", "<filename>",
)  # fmt: skip
ENDS: Final = (  # end of text, end of turn and other marks after which no code follows
    "<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|im_start|>",
    "<|end|>", "<|return|>", "<|EOT|>", "</s>", "<eos>", "<end_of_turn>", "<start_of_turn>",
    "▁<EOT>", "<｜end▁of▁sentence｜>", "<｜begin▁of▁sentence｜>",  # noqa: RUF001
    "<gh_stars>", "<issue_start>", "<jupyter_start>", "<jupyter_code>", "<commit_before>",
)  # fmt: skip
KNOWN: Final = frozenset((*(t for f in FIM for t in f), *PAD, *REPO, *FILE, *ENDS))
SHAPE: Final = re.compile(r"<[|｜].+[|｜]>|<\[.+\]>", re.DOTALL)  # noqa: RUF001
