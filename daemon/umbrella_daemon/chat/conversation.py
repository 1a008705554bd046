"""What was said so far: kept, shortened, written to a file and read from one.

Knows nothing of terminals or daemons.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import msgspec

from umbrella_daemon.wire import Message

KEPT: Final = "The conversation is as it was."
MAX_FILE_BYTES: Final = 16 * 2**20
SPEAKERS: Final = {"user": "You", "assistant": "Umbrella", "system": "System"}


class ConversationError(Exception):
    """A file that cannot be written or read; the message says what was kept."""


class _Saved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Literal["system", "user", "assistant"]
    content: str


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The form that chat APIs use."""

    messages: tuple[_Saved, ...]


@dataclass(slots=True)
class Conversation:
    """A system prompt, "" for the model's own, and turns: a question, its answer, and so on."""

    system: str = ""
    turns: list[Message] = field(default_factory=list)

    @property
    def messages(self) -> tuple[Message, ...]:
        """All of it, in the order in which a model reads it."""
        first = [Message("system", self.system)] if self.system else []
        return (*first, *self.turns)

    def ask(self, text: str) -> None:
        """Add what the user says."""
        self.turns.append(Message("user", text))

    def answer(self, text: str) -> None:
        """Add what the model said."""
        self.turns.append(Message("assistant", text))

    def take_back(self) -> str:
        """Remove the last question with what came after it; give it, "" where there is none."""
        while self.turns:
            last = self.turns.pop()
            if last.role == "user":
                return last.content
        return ""

    def drop_oldest(self) -> bool:
        """Forget the oldest question with its answer; False where only the newest one is left."""
        questions = [place for place, one in enumerate(self.turns) if one.role == "user"]
        if len(questions) < 2:
            return False
        del self.turns[: questions[1]]
        return True

    def reset(self) -> None:
        """Forget all turns; the system prompt stays."""
        self.turns.clear()

    def save(self, path: Path) -> None:
        """Write it to `path`, for its owner alone: Markdown where the name ends so, else JSON.

        Raises ConversationError.
        """
        saved = _File(
            tuple(msgspec.convert(msgspec.to_builtins(self.messages), tuple[_Saved, ...]))
        )
        content = msgspec.json.format(msgspec.json.encode(saved)) + b"\n"
        if path.suffix == ".md":
            content = self.markdown().encode()
        partial = path.with_name(f".{path.name}.partial")
        try:
            partial.touch(mode=0o600)
            partial.write_bytes(content)
            partial.replace(path)
        except OSError as error:
            raise ConversationError(
                f"{path} cannot be written ({error.strerror}). The conversation goes on; try "
                "another place."
            ) from None

    @classmethod
    def load(cls, path: Path) -> "Conversation":
        """Read what `save` wrote as JSON; raises ConversationError."""
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise ConversationError(f"{path} is too large for a conversation. {KEPT}")
            found = msgspec.json.decode(path.read_bytes(), type=_File)
        except OSError as error:
            raise ConversationError(f"{path} cannot be read ({error.strerror}). {KEPT}") from None
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            hint = " Markdown is for reading; what ends in .json can be loaded."
            raise ConversationError(
                f"{path} is no saved conversation ({error}).{hint * (path.suffix == '.md')} {KEPT}"
            ) from None
        systems = [one.content for one in found.messages if one.role == "system"]
        turns = [Message(one.role, one.content) for one in found.messages if one.role != "system"]
        return cls("\n\n".join(systems), turns)

    def markdown(self) -> str:
        """Lay it out for reading."""
        parts = [f"## {SPEAKERS[one.role]}\n\n{one.content}\n" for one in self.messages]
        return "\n".join(parts)
