"""The loop: propose a tree, one target forward, walk, keep the accepted path.

Law: in fp32 the tokens yielded equal the target's own greedy continuation, for any drafter, cache
state, interleaving or cancellation. It reads as rows 7 and 8 of the design.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from umbrella_engine.draft import Checkpoint, Drafter
from umbrella_engine.errors import Cancelled, ContextOverflow
from umbrella_engine.healing import Healing
from umbrella_engine.interface import EngineInfo, Limits, Step, Tokenizer
from umbrella_engine.language_model import Context, LanguageModel
from umbrella_engine.stats import Stats
from umbrella_engine.tree import Tree
from umbrella_engine.verify import best, choose, log_probabilities, walk


@dataclass(frozen=True, slots=True)
class SpeculativeEngine:
    """A resident target with a drafter; implements `interface.Engine`."""

    info: EngineInfo
    tokenizer: Tokenizer
    target: LanguageModel
    drafter: Drafter
    healing: Healing

    def generate(
        self,
        ids: Sequence[int],
        limits: Limits,
        cancelled: Callable[[], bool],
        *,
        owed: bytes = b"",
        stats: Stats | None = None,
    ) -> Iterator[Step]:
        """Yield the target's greedy continuation of `ids`; see `interface.Engine`."""
        stats = stats if stats is not None else Stats()
        self._check(ids, limits)
        checkpoint = _checkpoint(cancelled)
        with self.target.open(ids) as context, self.drafter.begin(ids) as draft:
            stats.prompt_tokens = len(ids)
            stats.reused_tokens = context.length
            stats.prefilled_tokens = len(ids) - context.length
            with stats.stage("prefill"):
                unread = context.prefill(ids[context.length :], checkpoint)
            while stats.generated_tokens < limits.max_tokens:
                room = limits.max_tokens - stats.generated_tokens
                with stats.stage("draft"):
                    tree = draft.propose(room - 1, owed, checkpoint)
                checkpoint()
                with stats.stage("verify"):
                    tokens, logprobs = self._step(context, unread, tree, owed, stats)
                draft.accept(tokens)
                unread = tokens[-1:]
                for token in tokens:
                    owed = self.healing.after(owed, token) or b"" if owed else b""
                shown = _before_stop(tokens, limits.stop_ids)
                stats.generated_tokens += len(shown)
                if shown:
                    yield Step(tuple(shown), tuple(logprobs[: len(shown)]))
                if len(shown) < len(tokens):
                    return

    def alternatives(
        self,
        ids: Sequence[int],
        count: int,
        cancelled: Callable[[], bool],
        *,
        owed: bytes = b"",
    ) -> list[int]:
        """Give the target's best tokens after `ids`, best first; see `interface.Engine`."""
        self._check(ids, Limits(1))
        checkpoint = _checkpoint(cancelled)
        with self.target.open(ids) as context:
            unread = context.prefill(ids[context.length :], checkpoint)
            checkpoint()
            return best(context.evaluate(unread, Tree())[0], count, owed, self.healing)

    def _step(
        self, context: Context, unread: Sequence[int], tree: Tree, owed: bytes, stats: Stats
    ) -> tuple[list[int], list[float]]:
        """Verify one tree; give the accepted tokens, the bonus and their log-probabilities."""
        logits = context.evaluate(unread, tree)
        path, bonus = walk(tree, choose(logits, tree, owed, self.healing))
        logprobs = log_probabilities(logits, tree, path, bonus, owed, self.healing)
        context.keep(tree, path)
        stats.target_steps += 1
        stats.drafted_tokens += len(tree)
        stats.accepted_tokens += len(path)
        for counts, nodes in (
            (stats.drafted_by, range(len(tree))),
            (stats.accepted_by, path),
        ):
            for node in nodes:
                counts[tree.sources[node]] = counts.get(tree.sources[node], 0) + 1
        return [*(tree.tokens[node] for node in path), bonus], logprobs

    def _check(self, ids: Sequence[int], limits: Limits) -> None:
        if not ids:
            raise ContextOverflow("an empty prompt has nothing to continue")
        if len(ids) + limits.max_tokens > self.info.context_tokens:
            raise ContextOverflow(
                f"a prompt of {len(ids)} tokens and {limits.max_tokens} new ones do not fit into "
                f"{self.info.context_tokens}; shorten it or raise engine.context_tokens"
            )


def _checkpoint(cancelled: Callable[[], bool]) -> Checkpoint:
    """Give what is called before each forward pass."""

    def checkpoint() -> None:
        if cancelled():
            raise Cancelled("the request was cancelled")

    return checkpoint


def _before_stop(tokens: Sequence[int], stop_ids: frozenset[int]) -> list[int]:
    """Give the tokens before the first stop token."""
    for place, token in enumerate(tokens):
        if token in stop_ids:
            return list(tokens[:place])
    return list(tokens)
