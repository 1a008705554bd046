"""Generation that runs ahead of the host: the steps of one request between two looks of the engine.

The draft model works only here: it drafts on the device, in the same graph as the target's step.
Copies of earlier text are found there too, in a text that the device is told once for a request.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from umbrella_engine.cuda.choice import Bet, Choice, Seen
from umbrella_engine.cuda.shapes import TreeShape
from umbrella_engine.device_steps import Settled
from umbrella_engine.draft.texts import Text, Texts
from umbrella_engine.language_model import Context, LanguageModel

Checkpoint = Callable[[], None]
MOST_UNREAD = 16  # tokens that the draft model can read at the start of a step


@dataclass(frozen=True, slots=True)
class Start:
    """Where steps begin: the target's lane holds what lies before the root, which nobody has read.

    The draft model's lane holds what lies before `unread`, which ends with the root.
    """

    length: int  # of what lies before the root
    unread: Sequence[int]  # at most `MOST_UNREAD`
    lane: int
    draft_lane: int

    @property
    def root(self) -> int:
        """The latest settled token."""
        return self.unread[-1]


class Landing(Protocol):
    """The results of a step on their way to the host."""

    def read(self) -> tuple[list[int], list[float], Seen]:
        """Wait for the tokens that the step settled, their log-probabilities, what it found."""
        ...


class Steps(Protocol):
    """What takes steps by itself: `stepper.Stepper`."""

    owner: object  # whose root the device goes on from

    def recall(self, text: Sequence[int]) -> int:
        """Let copies be taken from `text` from now on; it ends with the root of the next `begin`.

        Settled tokens are added to it. Gives how many tokens before its end stood before as well.
        """
        ...

    def begin(self, start: Start, owner: object) -> None:
        """Set the root; steps go on from it until someone else begins."""
        ...

    def step(self, shape: TreeShape) -> Landing:
        """Enqueue a step; its results can be read once it has run."""
        ...


class UnderWay(NamedTuple):
    """A step that the device works on."""

    bet: Bet
    landing: Landing


class DeviceLoop:
    """A stepper with the lanes that it works in; see `device_steps.DeviceSteps`."""

    def __init__(
        self, stepper: Steps, draft: LanguageModel | None, choice: Choice, texts: Texts
    ) -> None:
        self._stepper = stepper
        self._draft = draft
        self._choice = choice
        self._texts = texts

    @contextmanager
    def begin(self, ids: Sequence[int]) -> Iterator["OneRun"]:
        """Open a lane of the draft model for the prompt `ids`."""
        with ExitStack() as stack:
            draft = stack.enter_context(self._draft.open(ids)) if self._draft else None
            text = stack.enter_context(self._texts.begin(ids))
            yield OneRun(self._stepper, draft, self._choice, text)


class OneRun:
    """The device's steps for one request; see `device_steps.DeviceRun`."""

    def __init__(self, stepper: Steps, draft: Context | None, choice: Choice, text: Text) -> None:
        self._stepper = stepper
        self._draft = draft
        self._choice = choice
        self._text = text

    def steps(
        self, context: Context, root: int, room: int, checkpoint: Checkpoint
    ) -> Iterator[Settled]:
        """Settle tokens from `root` on, at most `room`.

        While the host looks at one step the next is under way; who stops loses that one. The
        device waits only where a step with a draft follows one without, since the draft must read
        what was settled meanwhile, and where another request had its turn.
        """
        self._stepper.owner = None  # a step that nobody read may have moved its text and root
        under_way = self._resume(context, root, checkpoint)
        while True:
            bet = self._choice.next()
            ahead = None
            drafts_on = under_way.bet.shape.depth or not bet.shape.depth
            if self._stepper.owner is self and drafts_on:
                ahead = UnderWay(bet, self._stepper.step(bet.shape))
            tokens, log_probs, seen = under_way.landing.read()
            self._choice.learn(under_way.bet, seen)
            tokens, log_probs = tokens[:room], log_probs[:room]
            room -= len(tokens)
            if self._draft is not None and under_way.bet.shape.depth:
                self._draft.settle([*context.tokens[self._draft.length :], root])
            context.settle([root, *tokens[:-1]])
            self._text.settle(tokens)
            root = tokens[-1]
            yield _settled(under_way.bet.shape, tokens, log_probs, seen)
            if room <= 0:
                return
            under_way = ahead or self._resume(context, root, checkpoint)

    def _resume(self, context: Context, root: int, checkpoint: Checkpoint) -> UnderWay:
        """Take the first step from `root`; the draft reads what is too much for a step."""
        if self._stepper.owner is not self:
            self._choice.look(self._stepper.recall(self._text.upto([*context.tokens, root])))
        bet = self._choice.next()
        unread: list[int] = []
        lane = 0
        if self._draft is not None and bet.shape.depth:
            unread = list(context.tokens[self._draft.length :])
            spare = len(unread) + 1 - MOST_UNREAD
            if spare > 0:
                self._draft.read(unread[:spare], checkpoint)
                unread = unread[spare:]
            lane = self._draft.lane
        start = Start(context.length, [*unread, root], context.lane, lane)
        self._stepper.begin(start, owner=self)
        return UnderWay(bet, self._stepper.step(bet.shape))


def _settled(shape: TreeShape, tokens: list[int], log_probs: list[float], seen: Seen) -> Settled:
    """Say who proposed what; where both proposed a token, it counts for the draft model."""
    kept = len(tokens) - 1
    drafted = min(seen.drafted, kept)
    return Settled(
        tokens,
        log_probs,
        offered={
            "model": [shape.width] * shape.depth,
            "suffix": [
                sum(place < length for length in shape.copied)
                for place in range(max(shape.copied, default=0))
            ],
        },
        kept=["model"] * drafted + ["suffix"] * (kept - drafted),
    )
