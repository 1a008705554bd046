"""Chains, static and best-first trees at several costs, on a draft model that does not exist.

Usage: python -m tests.bench.bench_growth [--steps 800] [--depth 12] [--nodes 32] [--costs FILE]

The made-up draft is as sure, and as often right, as Qwen2.5-Coder 0.5B was for the 1.5B over 7,618
tokens of code (157 prompts, 64 tokens each); unlike in real text its positions are independent of
each other. So this tells which growth suits which costs, not how fast a pair is. Growth, prices and
choice are the engine's own. FILE holds costs as for `bench_drafting --projection`. Needs no model,
a minute of one core; the last line is JSON.
"""

import argparse
import json
import random
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from umbrella_engine import DraftConfig
from umbrella_engine.draft.growth import Candidate, DynamicGrowth, Growth, StaticGrowth
from umbrella_engine.shape.choice import fastest, predict
from umbrella_engine.shape.costs import Costs, Curve, Prices

# How often the draft's first choice was right, by how sure it was (n, right).
SURENESS = ((151, 0.38), (387, 0.54), (657, 0.67), (908, 0.87), (1587, 0.975), (3928, 0.997))
# What of the rest the ranks from the second on caught.
RANKS = (0.64, 0.16, 0.057, 0.02, 0.02, 0.02, 0.02)
ACCEPTANCE = (0.913, 0.056, 0.014, 0.005, 0.00175, 0.00175, 0.00175, 0.00175)

# Milliseconds at 1 and 64 rows: goals for bf16 weights on an H100, a pair on a few CPU cores.
COSTS = {
    "1.5B + 0.5B, H100": Costs(Curve((1, 64), (1.4, 1.75)), Curve((1, 64), (0.6, 0.7)), 0.1),
    "7B + 0.5B, H100": Costs(Curve((1, 64), (4.9, 5.9)), Curve((1, 64), (0.6, 0.7)), 0.1),
    "32B + 0.5B, H100": Costs(Curve((1, 64), (22.0, 25.0)), Curve((1, 64), (0.6, 0.7)), 0.1),
    "1.5B + 0.5B, CPU": Costs(Curve((1, 64), (100.0, 600.0)), Curve((1, 64), (35.0, 220.0)), 0.1),
}
Path_ = tuple[int, ...]


class Text:
    """What the draft says and the target decides, in one step of made-up text."""

    def __init__(self, seed: str) -> None:
        self._seed = seed

    def rates(self, path: Path_) -> list[float]:
        """How likely each rank is below a path of ranks: always the same for a path."""
        rng = random.Random(f"{self._seed} {path}")
        first = rng.choices([right for _, right in SURENESS], [n for n, _ in SURENESS])[0]
        return [first, *((1 - first) * share for share in RANKS)]

    def truth(self, path: Path_) -> int:
        """Which rank is right below a path; one more than there are for none of them."""
        rates = self.rates(path)
        wanted = random.Random(f"{self._seed} {path} truth").random()
        ranks = (rank for rank in range(len(rates)) if wanted < sum(rates[: rank + 1]))
        return next(ranks, len(rates))


def path_of(one: Candidate | None) -> Path_:
    return () if one is None else (*path_of(one.parent), one.token)


def step(growth: Growth, prices: Prices, text: Text, trimmed: bool) -> tuple[int, int, list[int]]:
    """Grow a tree and walk it; gives settled tokens, nodes verified, rows of each draft pass."""
    sprout, rows = growth.sprout(64), list[int]()
    latest: list[Candidate | None] = [None]
    while latest:
        rows.append(len(latest))
        below = [enumerate(text.rates(path_of(one))[: growth.branches]) for one in latest]
        children = [
            [Candidate(rank, rate, one) for rank, rate in ranked]
            for one, ranked in zip(latest, below, strict=True)
        ]
        latest = [*sprout.take(children)]
    kept = sprout.kept()
    if trimmed:
        kept = sorted(kept, key=lambda one: -one.chance)
        kept = kept[: prices.worth_verifying([one.chance for one in kept])]
    there = {path_of(one) for one in kept}
    path: Path_ = ()
    while (*path, text.truth(path)) in there:
        path = (*path, text.truth(path))
    return len(path) + 1, len(kept), rows


def measure(
    growth: Growth, costs: Costs, prices: Prices, steps: int, trimmed: bool
) -> dict[str, float]:
    """Take so many steps."""
    done = [step(growth, prices, Text(str(number)), trimmed) for number in range(steps)]
    ms = sum(costs.step(nodes, rows) for _, nodes, rows in done)
    tokens = sum(settled for settled, _, _ in done)
    return {
        "tokens_per_step": round(tokens / steps, 2),
        "nodes_per_step": round(sum(nodes for _, nodes, _ in done) / steps, 1),
        "passes_per_step": round(sum(len(rows) for _, _, rows in done) / steps, 1),
        "tokens_per_second": round(1e3 * tokens / ms, 1),
        "times_none": round(tokens * costs.target.at(1) / ms, 2),
    }


def main() -> None:
    """Print a table and JSON."""
    parser = argparse.ArgumentParser(description="Growths at several costs.")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--depth", type=int, default=DraftConfig().model_depth)
    parser.add_argument("--nodes", type=int, default=DraftConfig().max_nodes)
    parser.add_argument("--costs", type=Path)
    options = parser.parse_args()
    every = COSTS
    if options.costs:
        every = msgspec.json.decode(options.costs.read_bytes(), type=dict[str, Costs])
    table = Table("costs", "growth", "tokens / step", "nodes", "passes", "tokens / s", "x none")
    results: dict[str, dict[str, dict[str, float]]] = {}
    for name, costs in every.items():
        plans = predict(ACCEPTANCE, costs, options.nodes, options.depth)
        prices = Prices(costs, 1 / fastest(plans).ms_per_token, ACCEPTANCE[0])
        growths: dict[str, Growth] = {
            plan.preset: StaticGrowth(plan.shape) for plan in plans if len(plan.shape)
        }
        width = DraftConfig().model_width
        growths["dynamic"] = DynamicGrowth(options.depth, width, options.nodes, prices)
        results[name] = {
            kind: measure(growth, costs, prices, options.steps, kind == "dynamic")
            for kind, growth in growths.items()
        }
        for kind, row in results[name].items():
            table.add_row(name, kind, *map(str, row.values()))
    Console(stderr=True, width=110).print(table)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
