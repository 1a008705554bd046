"""A completion server for tests, in a process of its own: `python -m tests.upstream_server PORT`.

It speaks llama-server's and OpenAI's protocols over real sockets, with a known text for a model:
what is asked for is the rest of it. It can be told to be slow, to stall, to break off, to refuse;
it notices when a client goes away. What it was asked and what became of that is at `/test/log`.
"""

import asyncio
import contextlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

Json = dict[str, Any]

SPECIAL = {"<|fim_prefix|>": 1001, "<|fim_suffix|>": 1002, "<|fim_middle|>": 1003}
TEXT = 20000  # an id from here on is a character
TOKEN = re.compile(r"\s*\S{1,5}|\s+")
REFUSALS = {400: "too long", 401: "Invalid API Key", 429: "busy", 501: "not supported"}


@dataclass
class Behaviour:
    """What tests change, all of it at `/test/behaviour`."""

    texts: list[str] = field(default_factory=list)  # what the model knows by heart
    stray: str = "?"  # what it says where it knows nothing
    other: str = "other"  # what it rates second at each place
    fim: bool = True  # whether its vocabulary can fill a hole
    infill: bool = False  # whether `/infill` works although `fim` does not
    tokenizer: bool = True  # whether it can be asked for tokens
    grammar: bool = True  # whether it heeds one
    key: str = ""  # that is wanted
    owner: str = "us"  # of its models
    models: list[str] = field(default_factory=lambda: ["served"])
    context: int = 4096
    token_ms: float = 0.0
    refuse: int = 0  # status of every answer to a completion
    stall_after: int = -1  # tokens; then nothing more comes
    break_after: int = -1  # tokens; then the connection is cut
    loading: bool = False


class Server:
    def __init__(self) -> None:
        self.behaviour = Behaviour()
        self.log: list[Json] = []

    async def serve(self, port: int) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", port)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, path, _ = head.split("\r\n")[0].split(" ")
                headers = {}
                for line in head.split("\r\n")[1:-2]:
                    name, _, value = line.partition(": ")
                    headers[name.lower()] = value
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                said = json.loads(body or b"null")
                await self._answer(method, path, headers, said, reader, writer)
        writer.close()

    async def _answer(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: Any,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        how = self.behaviour
        if path == "/test/behaviour":
            self.behaviour = Behaviour(**(asdict(how) | body))
            return _json(writer, 200, {})
        if path == "/test/log":
            return _json(writer, 200, {"log": self.log})
        entry: Json = {"path": path, "body": body, "sent": 0, "end": "open"}
        self.log.append(entry)
        if how.key and path != "/health" and headers.get("authorization") != f"Bearer {how.key}":
            return _json(writer, 401, {"error": {"message": REFUSALS[401]}})
        if isinstance(prompt := (body or {}).get("prompt"), list) and not any(
            isinstance(one, int) for one in prompt
        ):
            return _json(writer, 400, {"error": {"message": "so many prompts are not supported"}})
        if path.rpartition("/")[2] in ("completion", "completions") or (
            path == "/infill" and (how.fim or how.infill)
        ):
            if how.refuse:
                return _json(writer, how.refuse, {"error": {"message": REFUSALS[how.refuse]}})
            if not body.get("stream"):
                return _json(writer, 200, {"content": "", "stop": True})
            return await self._complete(entry, reader, writer)
        status, answer = self._known(method, path, body)
        _json(writer, status, answer)
        return None

    def _known(self, method: str, path: str, body: Any) -> tuple[int, Json]:
        """Answer what needs no model."""
        how = self.behaviour
        match method, path:
            case "GET", "/health":
                if how.loading:
                    return 503, {"error": {"code": 503, "message": "Loading model"}}
                return 200, {"status": "ok"}
            case "GET", "/props":
                settings = {"n_ctx": how.context}
                return 200, {"default_generation_settings": settings, "model_path": "/m/known.gguf"}
            case "GET", "/v1/models":
                models = [
                    {"id": name, "max_model_len": how.context, "owned_by": how.owner}
                    for name in how.models
                ]
                return 200, {"object": "list", "data": models}
            case "POST", "/tokenize" if how.tokenizer:
                text = body.get("content") or body.get("prompt") or ""
                special = how.fim and text in SPECIAL and body.get("parse_special", True)
                spelled = [TEXT + ord(c) for c in text]
                return 200, {"tokens": [SPECIAL[text]] if special else spelled}
            case "POST", "/infill":
                return 501, {"error": {"message": REFUSALS[501]}}
        return 404, {"error": {"message": "File Not Found"}}

    async def _complete(
        self, entry: Json, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Stream an answer, and note whether the client is there to its end."""
        gone = asyncio.ensure_future(reader.read(1))
        stream = asyncio.ensure_future(self._stream(entry, writer))
        await asyncio.wait([gone, stream], return_when=asyncio.FIRST_COMPLETED)
        if not stream.done():
            stream.cancel()
            entry["end"] = "client left"
        gone.cancel()
        raise ConnectionError("one answer a connection")

    async def _stream(self, entry: Json, writer: asyncio.StreamWriter) -> None:
        how, body = self.behaviour, entry["body"]
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        form = _chat if "messages" in body else _openai if "/v1/" in entry["path"] else _llama
        most = body.get("max_tokens") or body.get("n_predict") or 1000
        tokens = TOKEN.findall(self._text(body))
        for place, token in enumerate(tokens[:most]):
            if place == how.break_after:
                entry["end"] = "broken off"
                return writer.transport.abort()
            if place == how.stall_after:
                await asyncio.Event().wait()
            await asyncio.sleep(how.token_ms / 1e3)
            _chunk(writer, form(token, how.other, -0.1 if place else -0.2))
            await writer.drain()
            entry["sent"] += 1
        _chunk(writer, form("", "", 0.0, "length" if len(tokens) > most else "stop"))
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        entry["end"] = "complete"
        return None

    def _text(self, body: Json) -> str:
        """Give what the model says."""
        if "messages" in body:
            said = [f"{one['role']}: {one['content']}" for one in body["messages"]]
            return self._rest("\n".join(said))
        before = _before(body)
        found = re.match(r'root ::= "(.*)" \.\*$', body.get("grammar", ""))
        if not (found and self.behaviour.grammar):
            return self._rest(before)
        owed = re.sub(r"\\U([0-9A-F]{8})", lambda code: chr(int(code[1], 16)), found[1])
        return owed + self._rest(before + owed)

    def _rest(self, before: str) -> str:
        for text in self.behaviour.texts:
            if text.startswith(before):
                return text[len(before) :]
        return self.behaviour.stray


def _before(body: Json) -> str:
    """Give the text before the cursor, whatever shape the prompt has."""
    if "input_prefix" in body:
        return str(body["input_prefix"])
    prompt = body["prompt"]
    if isinstance(prompt, list):
        names = {number: spelling for spelling, number in SPECIAL.items()}
        prompt = "".join(
            one if isinstance(one, str) else names.get(one) or chr(one - TEXT) for one in prompt
        )
    if "<|fim_prefix|>" not in prompt:
        return str(prompt)
    before, _, rest = prompt.partition("<|fim_prefix|>")[2].partition("<|fim_suffix|>")
    return str(before + rest.partition("<|fim_middle|>")[2])


def _llama(token: str, other: str, logprob: float, finish: str = "") -> Json:
    told = {"token": token, "bytes": list(token.encode()), "logprob": logprob}
    return {
        "content": token,
        "stop": bool(finish),
        "timings": {"prompt_n": 3, "cache_n": 7, "draft_n": 4, "draft_n_accepted": 2},
        "completion_probabilities": [
            {**told, "top_logprobs": [told, {"token": other, "bytes": [], "logprob": -3.0}]}
        ]
        if token
        else [],
    }


def _openai(token: str, other: str, logprob: float, finish: str = "") -> Json:
    told = {
        "tokens": [token],
        "token_logprobs": [logprob],
        "top_logprobs": [{token: logprob, other: -3.0}],
    }
    return {
        "choices": [
            {"text": token, "logprobs": told if token else None, "finish_reason": finish or None}
        ]
    }


def _chat(token: str, other: str, logprob: float, finish: str = "") -> Json:
    told = {"content": [{"token": token, "logprob": logprob}]}
    choice = {"delta": {"content": token} if token else {}, "finish_reason": finish or None}
    return {"choices": [{**choice, "logprobs": told if token else None}]}


def _chunk(writer: asyncio.StreamWriter, event: Json) -> None:
    data = b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"
    for part in _split(data):
        writer.write(b"%x\r\n%b\r\n" % (len(part), part))


def _split(data: bytes) -> Iterator[bytes]:
    """Cut in the middle, where no reader should rely on a cut."""
    yield data[: len(data) // 2]
    yield data[len(data) // 2 :]


def _json(writer: asyncio.StreamWriter, status: int, answer: Json) -> None:
    body = json.dumps(answer).encode()
    writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))


if __name__ == "__main__":
    asyncio.run(Server().serve(int(sys.argv[1])))
