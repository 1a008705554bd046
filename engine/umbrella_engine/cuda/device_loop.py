"""Generation that runs ahead of the host: the steps of one request between two looks of the engine.

The draft model works only here: it drafts on the device, in the same graph as the target's step.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from umbrella_engine.cuda.shapes import Choice, TreeShape
from umbrella_engine.device_steps import Settled
from umbrella_engine.language_model import Context, LanguageModel

Checkpoint = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Start:
    """Where steps begin: both lanes hold what lies before the root, which nobody has read."""

    length: int  # of what lies before the root
    root: int
    before: int  # the token before the root
    lane: int
    draft_lane: int


class Landing(Protocol):
    """The results of a step on their way to the host."""

    def read(self) -> tuple[list[int], list[float]]:
        """Wait for the tokens that the step settled and for their log-probabilities."""
        ...


class Steps(Protocol):
    """What takes steps by itself: `stepper.Stepper`."""

    owner: object  # whose root the device goes on from

    def begin(self, start: Start, owner: object) -> None:
        """Set the root; steps go on from it until someone else begins."""
        ...

    def step(self, shape: TreeShape) -> Landing:
        """Enqueue a step; its results can be read once it has run."""
        ...


class UnderWay(NamedTuple):
    """A step that the device works on."""

    shape: TreeShape
    landing: Landing


class DeviceLoop:
    """A stepper with the lanes that it works in; see `device_steps.DeviceSteps`."""

    def __init__(self, stepper: Steps, draft: LanguageModel | None, choice: Choice) -> None:
        self._stepper = stepper
        self._draft = draft
        self._choice = choice

    @contextmanager
    def begin(self, ids: Sequence[int]) -> Iterator["OneRun"]:
        """Open a lane of the draft model for the prompt `ids`."""
        with ExitStack() as stack:
            draft = stack.enter_context(self._draft.open(ids)) if self._draft else None
            yield OneRun(self._stepper, draft, self._choice)


class OneRun:
    """The device's steps for one request; see `device_steps.DeviceRun`."""

    def __init__(self, stepper: Steps, draft: Context | None, choice: Choice) -> None:
        self._stepper = stepper
        self._draft = draft
        self._choice = choice

    @property
    def host_step_pays(self) -> float:
        """Drafted tokens that a step of the host must promise to be worth its time."""
        return self._choice.host_step_pays

    def steps(
        self, context: Context, root: int, room: int, checkpoint: Checkpoint
    ) -> Iterator[Settled]:
        """Settle tokens from `root` on, at most `room`.

        While the host looks at one step the next is under way; who stops loses that one. The
        device waits only where a step with a draft follows one without, since the draft must read
        what was settled meanwhile, and where another request had its turn.
        """
        under_way = self._resume(context, root, checkpoint)
        while True:
            shape = self._choice.next()
            ahead = None
            if self._stepper.owner is self and (under_way.shape.depth or not shape.depth):
                ahead = UnderWay(shape, self._stepper.step(shape))
            tokens, log_probs = under_way.landing.read()
            self._choice.learn(under_way.shape, len(tokens) - 1)
            tokens, log_probs = tokens[:room], log_probs[:room]
            room -= len(tokens)
            context.settle([root, *tokens[:-1]])
            root = tokens[-1]
            if self._draft is not None and under_way.shape.depth:
                self._draft.settle(context.tokens[self._draft.length : -1])
            yield Settled(tokens, log_probs, under_way.shape.depth, under_way.shape.width)
            if room <= 0:
                return
            under_way = ahead or self._resume(context, root, checkpoint)

    def _resume(self, context: Context, root: int, checkpoint: Checkpoint) -> UnderWay:
        """Let the draft read what it has not, and take the first step from `root`."""
        shape = self._choice.next()
        if self._draft is not None and shape.depth:
            self._draft.read(context.tokens[self._draft.length : -1], checkpoint)
        lane = 0 if self._draft is None else self._draft.lane
        before = context.tokens[-1]
        start = Start(context.length, root, before, context.lane, lane)
        self._stepper.begin(start, owner=self)
        return UnderWay(shape, self._stepper.step(shape))
