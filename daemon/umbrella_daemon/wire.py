"""The one schema between the resident daemon and whoever talks to it.

A frame is a 4-byte big-endian length and a MessagePack map whose field `t` names the message.
The first frame each way is the handshake: `Hello` → `Welcome`, or `Refused` and a closed socket.
Requests carry an `id` chosen by the sender; each gets exactly one answer with the same `id`:
`Complete` → `Completed`, `Tokenize` → `Tokens`, `Detokenize` → `Text`, `GetStatus` → `Status`,
`Stop` → `Stopping`; `Generate` gets a row of `Generated`, the last of which is `done`. `Warm`,
`Opened` and `Closed` have no answer, nor has `Cancel` one of its own: what is cancelled is
answered. `Phase` is pushed to every client when loading advances. The frame's header, `Hello`,
`Refused` and the first fields of `Welcome` never change: by them two releases find out that they
differ.
"""

import struct
from typing import Final

import msgspec

PROTOCOL: Final = 1
MAX_FRAME_BYTES: Final = 16 * 2**20
HEADER: Final = struct.Struct(">I")


class Hello(msgspec.Struct, frozen=True, tag_field="t"):
    """First frame of a client."""

    protocol: int
    client: str  # "umbrella-lsp", "umbrella complete" …
    version: str
    pid: int


class Snippet(msgspec.Struct, frozen=True):
    """A piece of another file that may help with this one."""

    path: str  # name of the file, for the prompt
    text: str  # whole lines


class Complete(msgspec.Struct, frozen=True, tag_field="t"):
    """Ask for the text at a cursor. Text is valid Unicode without lone surrogates."""

    id: int
    document: str  # URI or any stable name; the newest request of a document wins
    version: int
    language: str  # LSP language id, "" if unknown
    path: str  # file name for the prompt and the rules, "" if there is none
    prefix: str  # text before the cursor, possibly cut at its start
    suffix: str  # text after the cursor, possibly cut at its end
    explicit: bool = False  # the user asked by a key, not by typing
    max_tokens: int | None = None  # None: the daemon's setting
    max_lines: int | None = None
    min_confidence: float | None = None  # what is less probable is not shown
    candidates: int = 1  # how many different answers are wanted; each takes as long as the first
    snippets: tuple[Snippet, ...] = ()  # of other files, in the order of the prompt
    context: bool = True  # whether other files of the window may be read for it
    explain: bool = False  # written anew, with all that was drafted for it: `Completed.steps`


class Message(msgspec.Struct, frozen=True):
    """One turn of a conversation."""

    role: str  # "system", "user" or "assistant"; templates may know others
    content: str


class Generate(msgspec.Struct, frozen=True, tag_field="t"):
    """Ask for text as the model writes it, piece by piece: no rules of ours end or clean it.

    What is continued is the first there is of: `messages`, as the model's chat template writes
    them; `prompt` and `suffix`, the text around a hole, where `suffix` is not None; `ids`;
    `prompt`. Lone surrogates are not text. Equal seeds give equal answers to equal requests.
    """

    id: int
    prompt: str = ""
    controls: bool = False  # spellings of control tokens in `prompt` are these, not text
    ids: tuple[int, ...] = ()  # a prompt as it is, control tokens and all
    suffix: str | None = None  # None: nothing follows, and nothing is filled in
    messages: tuple[Message, ...] = ()
    snippets: tuple[Snippet, ...] = ()  # of other files, where there is a hole to fill
    path: str = ""  # file name for the prompt of a hole
    language: str = ""  # LSP language id, for the prompt of a hole
    max_tokens: int = 0  # 0: as many as fit
    temperature: float = 0.0  # 0: greedy
    top_k: int = 0  # 0: all
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()  # ends before any of these
    max_ms: int = 0  # from the first token on; then it ends with the line. 0: no limit
    min_indent: int = 0  # columns; ends before a line that is indented less
    logprobs: bool = False  # whether `Generated.tokens` are wanted


class Tokenize(msgspec.Struct, frozen=True, tag_field="t"):
    """Ask for the ids of a text alone."""

    id: int
    text: str
    controls: bool = False  # spellings of control tokens are these, not text


class Detokenize(msgspec.Struct, frozen=True, tag_field="t"):
    """Ask for the text of ids; control tokens have none."""

    id: int
    ids: tuple[int, ...]


class Warm(msgspec.Struct, frozen=True, tag_field="t"):
    """Get ready for a request like this one; has no answer, gives way to everything."""

    request: Complete


class Opened(msgspec.Struct, frozen=True, tag_field="t"):
    """What the document `document` holds now: context for others of the window. No answer."""

    document: str
    language: str
    path: str
    text: str


class Closed(msgspec.Struct, frozen=True, tag_field="t"):
    """The document is closed in the editor; it counts as a recent file from now on. No answer."""

    document: str


class Cancel(msgspec.Struct, frozen=True, tag_field="t"):
    """Stop working on request `id` of this connection."""

    id: int


class GetStatus(msgspec.Struct, frozen=True, tag_field="t"):
    """Ask for the daemon's state."""

    id: int
    traces: int = 20  # how many of the latest request traces to include


class Stop(msgspec.Struct, frozen=True, tag_field="t"):
    """Ask the daemon to answer what is open and exit."""

    id: int


class Welcome(msgspec.Struct, frozen=True, tag_field="t"):
    """Handshake accepted."""

    protocol: int
    version: str
    pid: int


class Refused(msgspec.Struct, frozen=True, tag_field="t"):
    """Handshake or frame refused; the socket is closed after it."""

    message: str


class Drafted(msgspec.Struct, frozen=True):
    """What one source of drafts did.

    Counts are tree nodes by position: how many tokens behind the last settled one, from 1.
    """

    offered: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()
    us: float = 0.0  # microseconds that proposing took


class Trace(msgspec.Struct, frozen=True):
    """What one request cost and why it ended as it did."""

    document: str = ""
    version: int = 0
    language: str = ""
    prompt_tokens: int = 0
    reused_tokens: int = 0
    prefilled_tokens: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    target_steps: int = 0
    generated_tokens: int = 0
    drafts: dict[str, Drafted] = {}  # by source: "model", "suffix", "previous", "retyped"
    ms: dict[str, float] = {}  # stage → milliseconds; "total" is receipt to answer
    reason: str = ""  # "" when text is shown, else a value of `Reason`
    layout: str = ""  # order of the prompt's parts
    confidence: float | None = None  # probability of the answer, by the model's own account
    source: str = "engine"  # "store": typed through, "prefetch": prepared while nothing was asked


class Alternative(msgspec.Struct, frozen=True):
    """Another text for the same place, worse than those before it."""

    text: str
    replace_after: int = 0


class Node(msgspec.Struct, frozen=True):
    """A drafted token in a tree."""

    text: str
    parent: int  # its place among the nodes, before this one; -1: below the settled text
    source: str  # who drafted it: "model", "suffix", "previous", "retyped"
    accepted: bool


class VerifiedTree(msgspec.Struct, frozen=True):
    """What one step of the target read at once."""

    nodes: tuple[Node, ...]
    bonus: str  # the token that the target added behind the accepted ones


class Completed(msgspec.Struct, frozen=True, tag_field="t"):
    """Answer to `Complete`: text to insert, or nothing with a reason."""

    id: int
    text: str = ""
    replace_after: int = 0  # characters after the cursor, on its line, that `text` replaces
    reason: str = ""  # a value of `Reason`, "" when text is shown
    detail: str = ""  # one sentence for a person
    trace: Trace = Trace()
    alternatives: tuple[Alternative, ...] = ()  # where more than one candidate was asked for
    # where they were asked for; they begin with what was taken back at the cursor, and may go on
    # behind the end of `text`
    steps: tuple[VerifiedTree, ...] = ()


class Token(msgspec.Struct, frozen=True):
    """One token of an answer."""

    id: int
    bytes: bytes  # what it adds; may be a part of a character
    logprob: float  # natural logarithm of its probability


class Usage(msgspec.Struct, frozen=True):
    """What a generation cost."""

    prompt_tokens: int = 0
    cached_tokens: int = 0  # of the prompt: not computed, since a lane held them
    completion_tokens: int = 0
    steps: int = 0  # forward passes of the target that settled tokens
    drafted_tokens: int = 0  # tree nodes offered to the target
    accepted_tokens: int = 0  # tree nodes kept
    first_ms: float = 0.0  # from receipt to the first token, waiting included
    prompt_ms: float = 0.0  # reading the prompt, what waited for others not included
    generate_ms: float = 0.0  # writing, what waited for others not included
    ms: float = 0.0  # from receipt to the end


class Generated(msgspec.Struct, frozen=True, tag_field="t"):
    """A piece of the answer to `Generate`; whole characters, nothing that may begin a stop text."""

    id: int
    text: str = ""
    tokens: tuple[Token, ...] = ()  # of this text, where they were asked for
    done: bool = False  # nothing follows
    finish: str = ""  # a value of `Finish`, once done
    stopped_by: str = ""  # the one of `stop` that ended it
    error: str = ""  # a value of `Fault` where `finish` is "error"
    detail: str = ""  # one sentence for a person
    usage: Usage = Usage()  # so far


class Tokens(msgspec.Struct, frozen=True, tag_field="t"):
    """Answer to `Tokenize`."""

    id: int
    ids: tuple[int, ...]
    pieces: tuple[bytes, ...]  # what each of them spells
    error: str = ""  # a value of `Fault`; there are no ids then
    detail: str = ""


class Text(msgspec.Struct, frozen=True, tag_field="t"):
    """Answer to `Detokenize`."""

    id: int
    text: str
    error: str = ""  # a value of `Fault`; there is no text then
    detail: str = ""


class Phase(msgspec.Struct, frozen=True, tag_field="t"):
    """Where the daemon is on its way to ready; pushed on every change."""

    # "starting" | "downloading" | "converting" | "loading" | "ready" | "failed" | "backend-down"
    phase: str
    message: str = ""  # one sentence for a person
    percent: int | None = None  # 0-100 where the length of the way is known


class Model(msgspec.Struct, frozen=True):
    """What can be asked of the resident pair; all empty before it is loaded."""

    name: str = ""
    target: str = ""
    draft: str = ""  # "" without one
    context_tokens: int = 0
    vocab_size: int = 0
    fim: bool = False  # can fill a hole
    chat_template: str = ""  # "": a plain form is used, see daemon/README.md


class Totals(msgspec.Struct, frozen=True):
    """Sums over everything that the engine did since the daemon started."""

    prompt_tokens: int = 0  # computed, without those that a lane held
    cached_tokens: int = 0
    completion_tokens: int = 0
    steps: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    prompt_ms: float = 0.0
    generate_ms: float = 0.0


class Status(msgspec.Struct, frozen=True, tag_field="t"):
    """Answer to `GetStatus`."""

    id: int
    phase: Phase
    version: str
    pid: int
    uptime_seconds: float
    pair: str  # which pair is resident, and why: "smollm2: picked for a CPU with 23 GiB free"
    device: str
    dtype: str
    rss_bytes: int
    clients: list[str]
    requests: int
    shown: int
    reasons: dict[str, int]  # silence by reason
    traces: list[Trace]  # newest last
    drafts: dict[str, Drafted] = {}  # by source, of all requests
    generations: int = 0  # `Generate` requests that are done
    generating: int = 0  # those under way
    waiting: int = 0  # those that wait for a lane, and editors' requests that wait
    model: Model = Model()
    totals: Totals = Totals()
    prepared: Totals = Totals()  # what was spent on states that nobody had asked about yet
    busy: bool = False  # whether anything is being written, prepared or looked for


class Stopping(msgspec.Struct, frozen=True, tag_field="t"):
    """Answer to `Stop`."""

    id: int


Notice = Warm | Opened | Closed
Question = Complete | Generate | Tokenize | Detokenize | GetStatus | Stop  # has an answer
Request = Hello | Question | Notice | Cancel
Answer = Completed | Tokens | Text | Status | Stopping
Reply = Welcome | Refused | Answer | Generated | Phase


class Reason:
    """Why nothing is shown. Plain strings on the wire; documented in daemon/README.md."""

    LOADING: Final = "loading"  # the model is being fetched or loaded
    FAILED: Final = "failed"  # the model could not be loaded
    DISABLED: Final = "disabled"  # language or server switched off in the settings
    EXCLUDED: Final = "excluded"  # the file may hold secrets
    IGNORED: Final = "ignored"  # by .gitignore, .umbrellaignore or a setting
    TOO_LARGE: Final = "too-large"
    BINARY: Final = "binary"
    NO_DOCUMENT: Final = "no-document"  # never opened and not readable
    CANCELLED: Final = "cancelled"
    SUPERSEDED: Final = "superseded"  # a newer request of the document arrived
    EMPTY: Final = "empty"  # the model had nothing to add here
    REPEATS: Final = "repeats"  # the answer says only what stands there already
    LOW_CONFIDENCE: Final = "low-confidence"  # the model was not sure enough
    BACKEND_DOWN: Final = "backend-down"  # the engine elsewhere cannot be used now
    DAEMON_LOST: Final = "daemon-lost"  # the daemon went away in mid-request
    ERROR: Final = "error"  # see the log


class Finish:
    """Why a generation ended."""

    STOP: Final = "stop"  # the model ended it, or a stop text or another limit of the caller's
    LENGTH: Final = "length"  # `max_tokens` are written, or the context is full
    CANCELLED: Final = "cancelled"
    ERROR: Final = "error"


class Fault:
    """Whose fault it is that there is no answer."""

    REQUEST: Final = "request"  # it asks for what cannot be; the detail says what
    LOADING: Final = "loading"  # the model is not there yet
    FAILED: Final = "failed"  # the model could not be loaded
    BACKEND_DOWN: Final = "backend-down"  # the engine elsewhere cannot be used now
    INTERNAL: Final = "internal"  # see the log


_encoder = msgspec.msgpack.Encoder()
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


def frame(message: Request | Reply) -> bytes:
    """Encode a message with its length in front."""
    body = _encoder.encode(message)
    return HEADER.pack(len(body)) + body


def decode_request(body: bytes) -> Request:
    """Decode what a client sent; raises msgspec.DecodeError on anything else."""
    return _requests.decode(body)


def decode_reply(body: bytes) -> Reply:
    """Decode what the daemon sent; raises msgspec.DecodeError on anything else."""
    return _replies.decode(body)


class FrameReader:
    """Cuts a byte stream into frame bodies."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> list[bytes]:
        """Take bytes, give the frame bodies that are now complete.

        Raises ValueError when a frame announces more than MAX_FRAME_BYTES.
        """
        self._buffer += data
        bodies = []
        start = 0
        while len(self._buffer) - start >= HEADER.size:
            (length,) = HEADER.unpack_from(self._buffer, start)
            if length > MAX_FRAME_BYTES:
                raise ValueError(f"frame of {length} bytes; at most {MAX_FRAME_BYTES} are accepted")
            end = start + HEADER.size + length
            if len(self._buffer) < end:
                break
            bodies.append(bytes(self._buffer[start + HEADER.size : end]))
            start = end
        del self._buffer[:start]
        return bodies
