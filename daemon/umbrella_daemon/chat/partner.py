"""The resident pair as a chat sees it: give it a conversation, get its next turn in pieces.

Promises: what does not fit into the context is made to fit by leaving out the oldest turns; the
daemon is the one that editors use, and is replaced only by `switch`.
"""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Final

from msgspec.structs import replace
from rich.console import Console

from umbrella_daemon.chat.conversation import Conversation
from umbrella_daemon.client import DaemonClient, DaemonError, stop_daemon
from umbrella_daemon.pairs import load_pair
from umbrella_daemon.ready import ready_daemon
from umbrella_daemon.settings import ChatSettings, Settings
from umbrella_daemon.wire import Finish, Generate, Generated, Message, Status

NAME: Final = "umbrella chat"
TURN_TOKENS: Final = 16  # that a template puts around a message, at most
SHARE_KEPT: Final = (
    0.75  # of the room for a conversation, once something has to go: then it can grow again
)


class Refused(DaemonError):
    """The pair does not answer this conversation; the message says why."""


class Partner:
    """A connection to the daemon, once `connect` was called; `close` ends it."""

    def __init__(self, settings: Settings, progress: Console, name: str = NAME) -> None:
        self._settings = settings
        self._progress = progress
        self._name = name
        self._stack = AsyncExitStack()
        self._client: DaemonClient | None = None
        self._lengths: dict[str, int] = {}  # tokens of a message
        self.status: Status | None = None

    @property
    def options(self) -> ChatSettings:
        """How it answers."""
        return self._settings.chat

    @property
    def context_tokens(self) -> int:
        """How much it can hold, its answer included."""
        return self._known().model.context_tokens

    @property
    def title(self) -> str:
        """What is resident, in one line."""
        status = self._known()
        draft = f" with draft {status.model.draft}" if status.model.draft else ""
        return f"{status.model.name}{draft} on {status.device} ({status.dtype})"

    async def connect(self) -> None:
        """Find or start the daemon and wait for its model; raises DaemonError."""
        self._client = await self._stack.enter_async_context(
            ready_daemon(self._settings, self._name, self._progress)
        )
        self.status = await self._client.status(0)
        self._lengths.clear()

    async def close(self) -> None:
        """End the connection; the daemon goes on."""
        await self._stack.aclose()
        self._client = None

    async def switch(self, pair: str) -> None:
        """Have the daemon load another pair, for editors as well.

        Raises SettingsError where there is no such pair, and DaemonError where it cannot be loaded;
        the one before is loaded again then.
        """
        load_pair(pair)
        before = self._settings
        try:
            await self._restart(replace(before, pair=pair))
        except DaemonError:
            await self._restart(before)
            raise

    async def _restart(self, settings: Settings) -> None:
        await self.close()
        await stop_daemon(settings)
        self._settings = settings
        await self.connect()

    async def answer(
        self, conversation: Conversation, options: ChatSettings
    ) -> AsyncGenerator[Generated]:
        """Give the next turn; the last piece is `done`. Closing the generator stops the engine.

        Raises DaemonError, of which Refused where another conversation might be answered.
        """
        request = Generate(
            0,
            messages=conversation.messages,
            max_tokens=options.max_tokens,
            temperature=options.temperature,
            top_k=options.top_k,
            top_p=options.top_p,
            min_p=options.min_p,
            seed=None if options.seed < 0 else options.seed,
        )
        pieces = (await self.daemon()).generate(request)
        try:
            async for piece in pieces:
                if piece.finish == Finish.ERROR:
                    raise Refused(piece.detail)
                yield piece
        finally:
            await pieces.aclose()

    async def daemon(self) -> DaemonClient:
        """Give the connection once the model is there; raises DaemonError."""
        if self._client is None:
            raise DaemonError("The daemon is not connected; /model NAME loads a pair.")
        phase = await self._client.ready()
        if phase.phase != "ready":
            raise DaemonError(f"The model could not be loaded: {phase.message}")
        return self._client

    async def make_room(self, conversation: Conversation, options: ChatSettings) -> int:
        """Leave out the oldest turns where there is no room for an answer; give how many.

        Raises DaemonError.
        """
        context = self.context_tokens
        room = context - min(options.max_tokens or context, context // 4)
        if await self._length(conversation.messages) <= room:
            return 0
        dropped = 0
        while await self._length(conversation.messages) > SHARE_KEPT * room:
            if not conversation.drop_oldest():
                break
            dropped += 1
        return dropped

    async def _length(self, messages: tuple[Message, ...]) -> int:
        """Tokens of a conversation, rather too many than too few."""
        for one in messages:
            if one.content not in self._lengths:
                tokens = await (await self.daemon()).tokenize(one.content)
                if tokens.error:
                    raise Refused(tokens.detail)
                self._lengths[one.content] = len(tokens.ids) + TURN_TOKENS
        return sum(self._lengths[one.content] for one in messages)

    def _known(self) -> Status:
        assert self.status is not None, "connect first"
        return self.status
