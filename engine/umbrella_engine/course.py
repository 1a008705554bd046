"""The course of one request: steps of the host, and of the device where it can go on alone.

A host step verifies the tree of the drafters. It reads what is left of the prompt, pays owed bytes
and judges samples; behind that a device that can steps by itself (`device_steps`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from umbrella_engine.device_steps import DeviceRun
from umbrella_engine.draft import Checkpoint, Draft
from umbrella_engine.healing import Healing
from umbrella_engine.language_model import Context
from umbrella_engine.stats import Stats
from umbrella_engine.tree import Tree
from umbrella_engine.verify import Verifier, log_probabilities

Step = tuple[list[int], list[float]]  # settled tokens and their log-probabilities


@dataclass(frozen=True, slots=True)
class Course:
    """What takes part in one request."""

    context: Context
    draft: Draft
    device: DeviceRun | None
    verifier: Verifier
    healing: Healing
    stats: Stats
    checkpoint: Checkpoint

    def steps(self, unread: Sequence[int], owed: bytes, room: int) -> Iterator[Step]:
        """Settle tokens behind `unread`, at most `room`, for as long as the caller wants.

        unread: the end of the prompt, in no lane yet. owed: bytes that must come first.
        """
        while room > 0:
            alone = len(unread) == 1 and self.context.length > 0 and not owed
            if self.device and alone:
                yield from self._device_steps(self.device, unread[0], room)
                return
            tokens, log_probs = self._host_step(unread, self._propose(room, owed), owed)
            yield tokens, log_probs
            room -= len(tokens)
            unread = tokens[-1:]
            for token in tokens:
                owed = self.healing.after(owed, token) or b"" if owed else b""

    def _device_steps(self, device: DeviceRun, root: int, room: int) -> Iterator[Step]:
        """Settle tokens from `root` on without the host."""
        steps = device.steps(self.context, root, room, self.checkpoint)
        while True:
            with self.stats.stage("device"):
                settled = next(steps, None)
            if settled is None:
                return
            self.stats.settle_levels(settled.offered, settled.kept)
            self.draft.accept(settled.tokens)
            yield settled.tokens, settled.log_probs
            self.checkpoint()

    def _propose(self, room: int, owed: bytes) -> Tree:
        with self.stats.stage("draft"):
            return self.draft.propose(room - 1, owed, self.checkpoint)

    def _host_step(self, unread: Sequence[int], tree: Tree, owed: bytes) -> Step:
        """Verify a tree; give the accepted tokens and the bonus with their log-probabilities."""
        self.checkpoint()
        with self.stats.stage("verify"):
            logits = self.context.evaluate(unread, tree)
            path, bonus = self.verifier.walk(logits, tree, owed)
            log_probs = log_probabilities(logits, tree, path, bonus, owed, self.healing)
            self.context.keep(tree, path)
        self.stats.settle(tree, path, bonus)
        tokens = [*(tree.tokens[node] for node in path), bonus]
        self.draft.accept(tokens)
        return tokens, log_probs
