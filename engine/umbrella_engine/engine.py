"""The loop: propose a tree, one target forward, walk, keep the accepted path.

Law: in fp32 the tokens yielded equal the target's own greedy continuation, for any drafter, cache
state, interleaving or cancellation; where they are sampled they are distributed as the target's
own. It reads as rows 7 and 8 of the design.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from umbrella_engine.course import Course
from umbrella_engine.device_steps import DeviceSteps, HostSteps
from umbrella_engine.draft import Checkpoint, Drafter
from umbrella_engine.draft.none import NoDrafter
from umbrella_engine.draft.references import References
from umbrella_engine.errors import Cancelled, ContextOverflow
from umbrella_engine.healing import Healing
from umbrella_engine.interface import GREEDY, EngineInfo, Limits, Sampling, Step, Tokenizer
from umbrella_engine.language_model import LanguageModel
from umbrella_engine.sampling import Draws
from umbrella_engine.stats import Stats
from umbrella_engine.tree import Tree
from umbrella_engine.verify import Greedy, Verifier, best


@dataclass(frozen=True, slots=True)
class SpeculativeEngine:
    """A resident target with a drafter; implements `interface.Engine`."""

    info: EngineInfo
    tokenizer: Tokenizer
    target: LanguageModel
    drafter: Drafter
    healing: Healing
    # makes the drafter of a request that samples, from the chances that its walk will judge
    drawing: Callable[[Draws], Drafter] = lambda _: NoDrafter()
    references: References = field(default_factory=References)
    device: DeviceSteps = field(default_factory=HostSteps)

    def generate(
        self,
        ids: Sequence[int],
        limits: Limits,
        cancelled: Callable[[], bool],
        *,
        owed: bytes = b"",
        stats: Stats | None = None,
        sampling: Sampling = GREEDY,
    ) -> Iterator[Step]:
        """Yield the target's continuation of `ids`; see `interface.Engine`."""
        stats = stats if stats is not None else Stats()
        self._check(ids, limits)
        checkpoint = _checkpoint(cancelled)
        drafter, verifier = self._pair(sampling)
        # what the device does by itself it tells nobody
        alone = sampling.temperature == 0 and stats.verified is None
        device = self.device if alone else HostSteps()
        with (
            self.target.open(ids) as context,
            drafter.begin(ids) as draft,
            device.begin(ids) as run,
        ):
            stats.prompt_tokens = len(ids)
            stats.reused_tokens = context.length
            stats.prefilled_tokens = len(ids) - context.length
            with stats.stage("prefill"):
                unread = context.prefill(ids[context.length :], checkpoint)
            course = Course(context, draft, run, verifier, self.healing, stats, checkpoint)
            for tokens, log_probs in course.steps(unread, owed, limits.max_tokens):
                shown = _before_stop(tokens, limits.stop_ids)
                stats.generated_tokens += len(shown)
                if shown:
                    yield Step(tuple(shown), tuple(log_probs[: len(shown)]))
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

    def remember(self, name: str, ids: Sequence[int]) -> None:
        """Note text that may be repeated; see `interface.Engine`."""
        self.references.remember(name, ids)

    def _pair(self, sampling: Sampling) -> tuple[Drafter, Verifier]:
        """Give who drafts for a request and who judges the drafts."""
        if sampling.temperature == 0:
            return self.drafter, Greedy(self.healing)
        draws = Draws(sampling, self.healing)
        return self.drawing(draws), draws

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
