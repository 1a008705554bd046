"""What copies of earlier text are worth without any draft model: accepted per step, and how sure.

Usage: python -m tests.bench.bench_copies TARGET [--prompts 6] [--tokens 48] [--dtype bfloat16]

TARGET is a safetensors folder or GGUF file with fill-in-the-middle tokens. It writes the texts
once; every drafter then replays them, which is exact and takes no model. The last line is JSON:
among it, for every promised probability of a first copied token, how many guesses there were and
how many were right.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.bench.prompts import GROUPS, prompts
from umbrella_daemon.resident.prompt import Prompt
from umbrella_engine import DraftConfig, EngineConfig, Limits, ModelSource, PairConfig
from umbrella_engine.draft import Drafter
from umbrella_engine.draft.merge import MergedDrafter
from umbrella_engine.draft.retyped import RetypedDrafter
from umbrella_engine.draft.suffix import SuffixDrafter
from umbrella_engine.engine import SpeculativeEngine
from umbrella_engine.healing import Healing
from umbrella_engine.load import load
from umbrella_engine.stats import Stats
from umbrella_engine.tree import ROOT, Tree

CONFIGS = {
    "match 1": DraftConfig(),
    "match 2": DraftConfig(suffix_min_match=2),
    "match 3": DraftConfig(suffix_min_match=3),
    "match 1, 1 branch": DraftConfig(suffix_branches=1),
    "match 1, 4 branches": DraftConfig(suffix_branches=4),
    "match 1, 8 tokens": DraftConfig(suffix_tokens=8),
    "match 1, 32 tokens": DraftConfig(suffix_tokens=32),
}


@dataclass(slots=True)
class Tally:
    """What replayed texts gave."""

    stats: Stats = field(default_factory=Stats)
    promised: dict[float, list[int]] = field(default_factory=dict)  # → [guesses, right]

    def count(self, tree: Tree, truth: Sequence[int]) -> int:
        """Walk along what was written; give how many tokens the tree had."""
        path: list[int] = []
        for token in truth:
            below = tree.child(path[-1] if path else ROOT, token)
            if below is None:
                break
            path.append(below)
        self.stats.settle(tree, path, bonus=-1)
        for node, parent in enumerate(tree.parents):
            if parent == ROOT:  # the first branch of the root: the longest match
                bin_ = self.promised.setdefault(round(tree.probabilities[node], 2), [0, 0])
                bin_[0] += 1
                bin_[1] += tree.tokens[node] == truth[0]
                break
        return len(path)


def replay(
    drafter: Drafter, prompt: Prompt, text: Sequence[int], healing: Healing, tally: Tally
) -> None:
    """Draft for a text that is known."""
    owed, place = prompt.owed, 0
    with drafter.begin(prompt.ids) as draft:
        while place < len(text):
            tree = draft.propose(len(text) - place - 1, owed, lambda: None)
            settled = text[place : place + tally.count(tree, text[place:]) + 1]
            draft.accept(settled)
            place += len(settled)
            for token in settled:
                owed = healing.after(owed, token) or b"" if owed else b""


def makers(engine: SpeculativeEngine) -> dict[str, Callable[[], Drafter]]:
    """Give what makes each drafter."""
    fim, healing = engine.tokenizer.fim, engine.healing

    def suffix(config: DraftConfig, *, logical: bool = True) -> Drafter:
        drafter = SuffixDrafter(config, healing, fim if logical else None)
        return MergedDrafter([RetypedDrafter(engine.tokenizer), drafter], 64, healing)

    found = {name: lambda config=config: suffix(config) for name, config in CONFIGS.items()}
    return found | {"match 1, prompt's order": lambda: suffix(DraftConfig(), logical=False)}


def main() -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description="Accepted tokens of copies.")
    parser.add_argument("target", type=Path)
    parser.add_argument("--prompts", type=int, default=6)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--dtype", default="bfloat16")
    options = parser.parse_args()
    console = Console(stderr=True, width=120)
    engine = load(
        PairConfig(name="target", target=ModelSource(path=str(options.target))),
        EngineConfig(dtype=options.dtype, context_tokens=2560),
        DraftConfig(preset="suffix", max_nodes=16),
        Path(tempfile.gettempdir()) / "umbrella-bench-models",
        lambda _progress: None,
    )
    limits = Limits(options.tokens, engine.tokenizer.stop_ids)
    made = makers(engine)
    results: dict[str, dict[str, dict[str, object]]] = {}
    sure: dict[float, list[int]] = {}
    for group in GROUPS:
        texts = []
        for prompt in track(
            prompts(group, options.prompts, engine.tokenizer), group, console=console
        ):
            steps = engine.generate(prompt.ids, limits, lambda: False, owed=prompt.owed)
            texts.append((prompt, [token for step in steps for token in step.tokens]))
        for name, make in made.items():
            tally, drafter = Tally(), make()
            for prompt, text in texts:
                replay(drafter, prompt, text, engine.healing, tally)
            results.setdefault(name, {})[group] = summary(tally.stats)
            if name == "match 1":
                for likely, (guesses, right) in tally.promised.items():
                    known = sure.setdefault(likely, [0, 0])
                    known[0] += guesses
                    known[1] += right
    console.print(table(results))
    print(json.dumps({"results": results, "promised": sorted(sure.items())}))
    return 0


def summary(stats: Stats) -> dict[str, object]:
    """Give what is worth reading of replayed texts."""
    steps = max(1, stats.target_steps)
    return {
        "accepted_per_step": round(stats.accepted_tokens / steps, 2),
        "nodes_per_step": round(stats.drafted_tokens / steps, 1),
        "us_per_step": round(stats.draft_us.get("suffix", 0.0) / steps),
        "steps": stats.target_steps,
    }


def table(results: dict[str, dict[str, dict[str, object]]]) -> Table:
    """One line a drafter."""
    shown = Table("copies", *(f"{group}: accepted, nodes, us a step" for group in GROUPS))
    for name, groups in results.items():
        shown.add_row(
            name, *(" ".join(map(str, list(groups[group].values())[:3])) for group in GROUPS)
        )
    return shown


if __name__ == "__main__":
    sys.exit(main())
