"""Typing along a suggestion: how much of it the next request gets from the previous answer.

Usage: python -m tests.bench.bench_typed_through TARGET [--prompts 4] [--keys 12] [--dtype bfloat16]

TARGET is a safetensors folder or GGUF file. A hole in a file of the standard library is completed;
then the user types the answer, some characters at a time, and each state is completed again, with
the daemon's prompts. No store of suggestions answers here: these are the engine's own requests. The
last line is JSON.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import msgspec

from tests.bench.bench_pair import holes
from umbrella_daemon.resident.prompt import build_prompt
from umbrella_daemon.settings import PromptSettings
from umbrella_daemon.wire import Complete
from umbrella_engine import DraftConfig, EngineConfig, Limits, ModelSource, PairConfig, Stats
from umbrella_engine.draft.merge import MergedDrafter
from umbrella_engine.draft.previous import PreviousDrafter
from umbrella_engine.engine import SpeculativeEngine
from umbrella_engine.load import load

SETTINGS = PromptSettings(prefix_tokens=384, suffix_tokens=128)


def completed(engine: SpeculativeEngine, request: Complete, tokens: int, stats: Stats) -> str:
    """Complete a request; give the text that it adds."""
    prompt = build_prompt(request, engine.tokenizer, SETTINGS, 768)
    limits = Limits(tokens, engine.tokenizer.stop_ids)
    steps = engine.generate(prompt.ids, limits, lambda: False, owed=prompt.owed, stats=stats)
    spelled = b"".join(engine.tokenizer.token_bytes(t) for step in steps for t in step.tokens)
    return spelled[len(prompt.owed) :].decode("utf-8", "ignore")


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description="Accepted tokens while typing along.")
    parser.add_argument("target", type=Path)
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--keys", type=int, default=12)
    parser.add_argument("--every", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--dtype", default="bfloat16")
    options = parser.parse_args()
    engine = load(
        PairConfig(name="target", target=ModelSource(path=str(options.target))),
        EngineConfig(dtype=options.dtype, context_tokens=1024),
        DraftConfig(preset="suffix", max_nodes=32),
        Path(tempfile.gettempdir()) / "umbrella-bench-models",
        lambda _progress: None,
    )
    previous = PreviousDrafter(engine.tokenizer)
    engine = replace(engine, drafter=MergedDrafter([previous], 32, engine.healing))
    steps = tokens = drafted = accepted = states = same = 0
    for request in holes(options.prompts):
        text = completed(engine, request, options.tokens, Stats())
        for typed in range(1, min(options.keys, len(text) - 1), options.every):
            stats = Stats()
            state = msgspec.structs.replace(request, prefix=request.prefix + text[:typed])
            rest = completed(engine, state, options.tokens, stats)
            states += 1
            same += text[typed:].startswith(rest) or rest.startswith(text[typed:])
            steps += stats.target_steps
            tokens += stats.generated_tokens
            drafted += stats.drafted_tokens
            accepted += stats.accepted_tokens
    found = {
        "states": states,
        "same_text": same,
        "tokens_per_step": round(tokens / max(1, steps), 2),
        "accepted": accepted,
        "offered": drafted,
    }
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
