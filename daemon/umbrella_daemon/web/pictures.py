"""What the page shows besides text boxes, as HTML: a completion, its draft trees, figures.

Takes what the daemon said, gives HTML in which all text is escaped. Knows nothing of gradio.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from html import escape
from typing import Final

from umbrella_daemon.chat.figures import accepted, speed
from umbrella_daemon.wire import Completed, Drafted, Node, Status, Usage, VerifiedTree

# colours of sources of drafts; readable on light and on dark
SOURCES: Final = {
    "model": "#2563eb",
    "suffix": "#047857",
    "previous": "#b45309",
    "retyped": "#be185d",
}
OTHER_SOURCE: Final = "#7c3aed"
LINES_AROUND: Final = 12
MAX_INDENT: Final = 12  # deeper branches stand as far to the right as this
ROOT: Final = -1


def answer_line(usage: Usage, context_tokens: int, note: str = "") -> str:
    """Say in one line what an answer cost."""
    used = usage.prompt_tokens + usage.completion_tokens
    parts = [
        speed(usage.completion_tokens, usage.generate_ms),
        accepted(usage.accepted_tokens, usage.steps),
        f"{usage.cached_tokens} of {usage.prompt_tokens} prompt tokens cached",
        f"context {used} of {context_tokens} tokens",
    ]
    return _quiet(" · ".join([*parts, *([note] if note else [])]))


def completion(prefix: str, suffix: str, completed: Completed) -> str:
    """Show a completion in its place, and how it was written."""
    before = prefix.split("\n")[-LINES_AROUND:]
    after = suffix[completed.replace_after :].split("\n")[:LINES_AROUND]
    ghost = f'<span class="umbrella-ghost">{escape(completed.text)}</span>'
    code = f"{escape(chr(10).join(before))}{ghost}{escape(chr(10).join(after))}"
    parts = [f'<pre class="umbrella-code">{code}</pre>']
    if completed.reason:
        detail = f": {completed.detail}" if completed.detail else ""
        parts.append(_quiet(f"Nothing to suggest ({completed.reason}){detail}"))
    trace = completed.trace
    parts.append(
        _quiet(
            f"{trace.ms.get('total', 0):.0f} ms · {trace.generated_tokens} tokens in "
            f"{trace.target_steps} steps · {accepted(trace.accepted_tokens, trace.target_steps)} · "
            f"{trace.reused_tokens} of {trace.prompt_tokens} prompt tokens cached · "
            f"layout {trace.layout or '-'}"
        )
    )
    return "".join([*parts, trees(completed.steps)])


def trees(steps: Iterable[VerifiedTree]) -> str:
    """Show what was drafted, step by step: each branch a line, what the target kept filled in."""
    steps = list(steps)
    if not steps:
        return ""
    nodes = [node for step in steps for node in step.nodes]
    parts = [_legend(nodes)]
    for number, step in enumerate(steps, 1):
        kept = sum(node.accepted for node in step.nodes)
        head = f"step {number}: {kept} of {len(step.nodes)} drafted tokens accepted"
        parts.append(f'<div class="umbrella-step">{_quiet(head)}{_lines(step)}</div>')
    return "".join(parts)


def branches(step: VerifiedTree) -> list[list[int]]:
    """Cut a tree into lines: each node once, the accepted path first, below it what forks off."""
    children: dict[int, list[int]] = {}
    for place, node in enumerate(step.nodes):
        children.setdefault(node.parent, []).append(place)
    for below in children.values():
        below.sort(key=lambda place: not step.nodes[place].accepted)
    found: list[list[int]] = []
    starts = children.get(ROOT, [])[::-1]
    while starts:
        line = [starts.pop()]
        while following := children.get(line[-1]):
            line.append(following[0])
            starts += following[:0:-1]
        found.append(line)
    return found


def _lines(step: VerifiedTree) -> str:
    """Draw a step; the target's own token stands behind the accepted ones."""
    lines = [(line[0], [_chip(step.nodes[place]) for place in line]) for line in branches(step)]
    kept = sum(node.accepted for node in step.nodes)
    bonus = f'<span class="umbrella-node bonus">{_spelled(step.bonus)}</span>'
    if lines:
        lines[0][1].insert(kept, bonus)
    drawn = [_line(_depth(first, step), chips) for first, chips in lines]
    return "".join(drawn or [_line(0, [bonus])])


def _line(indent: int, chips: list[str]) -> str:
    margin = min(indent, MAX_INDENT) * 0.9
    style = f"margin-left: {margin:.1f}rem"
    return f'<div class="umbrella-branch" style="{style}">{"".join(chips)}</div>'


def _depth(place: int, step: VerifiedTree) -> int:
    depth = 0
    while (place := step.nodes[place].parent) != ROOT:
        depth += 1
    return depth


def _chip(node: Node) -> str:
    kind = "kept" if node.accepted else "refused"
    return (
        f'<span class="umbrella-node {kind}" title="{escape(node.source)}" '
        f'style="--source: {_colour(node.source)}">{_spelled(node.text)}</span>'
    )


def _spelled(text: str) -> str:
    """Show a token with its line breaks and blanks."""
    return escape(text.replace("\n", "↵").replace("\t", "⇥").replace(" ", "·") or "∅")


def _legend(nodes: Iterable[Node]) -> str:
    offered: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    for node in nodes:
        offered[node.source] += 1
        kept[node.source] += node.accepted
    chips = [
        f'<span class="umbrella-node kept" style="--source: {_colour(source)}">'
        f"{escape(source)}</span> <span>{kept[source]} of {count} accepted</span>"
        for source, count in offered.most_common()
    ]
    chips.append('<span class="umbrella-node bonus">framed</span> <span>the target\'s own</span>')
    return (
        '<div class="umbrella-legend umbrella-quiet">'
        + "".join(f"<span>{chip}</span>" for chip in chips)
        + "</div>"
    )


def _colour(source: str) -> str:
    return SOURCES.get(source, OTHER_SOURCE)


def state(status: Status) -> str:
    """Show how the daemon is, and what all answers together cost."""
    totals = status.totals
    read = totals.prompt_tokens + totals.cached_tokens
    big = {
        "tokens/s": f"{totals.completion_tokens / totals.generate_ms * 1e3:.1f}"
        if totals.generate_ms
        else "-",
        "accepted/step": f"{totals.accepted_tokens / totals.steps:.2f}" if totals.steps else "-",
        "of the prompts cached": f"{100 * totals.cached_tokens / read:.0f} %" if read else "-",
        "tokens written": f"{totals.completion_tokens:,}",
    }
    tiles = "".join(f"<div><b>{value}</b>{name}</div>" for name, value in big.items())
    facts = {
        "phase": f"{status.phase.phase} {status.phase.message}",
        "pair": status.pair or "not chosen yet",
        "device": f"{status.device}, {status.dtype}" if status.device else "-",
        "memory": f"{status.rss_bytes / 1e6:,.0f} MB",
        "up": str(timedelta(seconds=round(status.uptime_seconds))),
        "clients": ", ".join(status.clients),
        "completions": f"{status.requests}, {status.shown} shown",
        "generations": f"{status.generations} done, {status.generating} under way, "
        f"{status.waiting} waiting",
    }
    rows = "".join(_row(escape(name), escape(value)) for name, value in facts.items())
    return (
        f'<div class="umbrella-big">{tiles}</div><table class="umbrella-facts">{rows}</table>'
        f"{_sources(status.drafts)}"
    )


def _sources(drafts: Mapping[str, Drafted]) -> str:
    """Say how much of what each source drafted for completions was kept."""
    rows = "".join(
        _row(
            f'<span class="umbrella-node kept" style="--source: {_colour(source)}">'
            f"{escape(source)}</span>",
            f"{sum(one.kept):,} of {sum(one.offered):,} drafted tokens accepted",
        )
        for source, one in sorted(drafts.items(), key=lambda item: -sum(item[1].kept))
    )
    return f'<table class="umbrella-facts">{rows}</table>' if rows else ""


def _row(name: str, value: str) -> str:
    return f"<tr><td>{name}</td><td>{value}</td></tr>"


def _quiet(text: str) -> str:
    return f'<div class="umbrella-quiet">{escape(text)}</div>'
