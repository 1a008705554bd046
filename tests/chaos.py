"""Drafters without any sense, for the law: trees at random, and another drafter each step."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from tests.engine.tiny import VOCAB
from umbrella_engine.draft import Checkpoint, Draft, Drafter
from umbrella_engine.tree import Tree


class RandomDrafter:
    """Trees without any sense, now and then with the truth in them: the worst case for a walk."""

    def __init__(self, oracle: Callable[[tuple[int, ...], bytes], list[int]], seed: int) -> None:
        self._oracle = oracle
        self._seed = seed

    @contextmanager
    def begin(self, ids: Sequence[int]) -> Iterator[Draft]:
        yield RandomDraft(self._oracle, list(ids), random.Random(self._seed))


class RandomDraft:
    def __init__(
        self,
        oracle: Callable[[tuple[int, ...], bytes], list[int]],
        ids: list[int],
        rng: random.Random,
    ) -> None:
        self._oracle, self._ids, self._rng = oracle, ids, rng

    def propose(self, room: int, owed: bytes, checkpoint: Checkpoint) -> Tree:
        tree, rng = Tree(), self._rng
        truth = self._oracle(tuple(self._ids), owed)[:room]
        for _ in range(rng.randint(0, 5)):
            branch = [rng.randrange(VOCAB) for _ in range(rng.randint(0, room))]
            agreed = rng.randint(0, len(branch))
            tree.add_chain([*truth[:agreed], *branch[agreed:]])
        return tree

    def accept(self, tokens: Sequence[int]) -> None:
        self._ids.extend(tokens)


class SwitchingDrafter:
    """Another drafter each step, in the middle of a generation too."""

    def __init__(self, drafters: Sequence[Drafter], seed: int) -> None:
        self._drafters = drafters
        self._seed = seed

    @contextmanager
    def begin(self, ids: Sequence[int]) -> Iterator[Draft]:
        with ExitStack() as stack:
            drafts = [stack.enter_context(drafter.begin(ids)) for drafter in self._drafters]
            yield SwitchingDraft(drafts, random.Random(self._seed))


class SwitchingDraft:
    def __init__(self, drafts: Sequence[Draft], rng: random.Random) -> None:
        self._drafts, self._rng = drafts, rng

    def propose(self, room: int, owed: bytes, checkpoint: Checkpoint) -> Tree:
        return self._rng.choice(self._drafts).propose(room, owed, checkpoint)

    def accept(self, tokens: Sequence[int]) -> None:
        for draft in self._drafts:
            draft.accept(tokens)
