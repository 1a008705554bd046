"""Text to ids and back for whoever asks the daemon; runs in any thread."""

from functools import partial

from umbrella_daemon.resident.controls import ids_with_controls
from umbrella_daemon.wire import Detokenize, Fault, Text, Tokenize, Tokens
from umbrella_engine.interface import Tokenizer


def spelled(request: Tokenize | Detokenize, tokenizer: Tokenizer) -> Tokens | Text:
    """Answer `request`; control tokens have no text, and bytes that are none show as U+FFFD."""
    if isinstance(request, Tokenize):
        text = request.text
        encode = partial(ids_with_controls, tokenizer=tokenizer)
        ids = tuple(encode(text) if request.controls else tokenizer.encode(text))
        return Tokens(request.id, ids, tuple(map(tokenizer.token_bytes, ids)))
    strange = next((one for one in request.ids if not 0 <= one < tokenizer.vocab_size), None)
    if strange is not None:
        detail = f"{strange} is no token; ids are 0 to {tokenizer.vocab_size - 1}"
        return refused(request, Fault.REQUEST, detail)
    data = b"".join(map(tokenizer.token_bytes, request.ids))
    return Text(request.id, data.decode(errors="replace"))


def refused(request: Tokenize | Detokenize, fault: str, detail: str) -> Tokens | Text:
    """Answer that there is none."""
    if isinstance(request, Tokenize):
        return Tokens(request.id, (), (), fault, detail)
    return Text(request.id, "", fault, detail)
