"""`umbrella bench mtbench`: how fast two-turn conversations are written, greedy and sampled.

The second turn's prompt holds the first answer, as a conversation does, so that what was computed
for it is there already. Prompts follow the chat template of the model's own tokenizer.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from umbrella_daemon.bench.holes import json_lines
from umbrella_daemon.bench.result import BenchError, Figure
from umbrella_daemon.bench.writing import Account, Advanced, Ask, Writer, Written
from umbrella_engine.interface import Tokenizer

WARM_UP_TOKENS: Final = 16

Messages = list[dict[str, str]]
Template = Callable[[Messages], list[int]]  # a conversation → the ids that the answer follows


class Question(msgspec.Struct, frozen=True):
    """A line of a file of questions, as MT-Bench spells it; more fields may stand."""

    turns: tuple[str, ...]
    question_id: int = 0
    category: str = ""


def questions(path: Path, count: int) -> list[Question]:
    """Read at most `count` questions, evenly spread over the file. Raises BenchError."""
    found = [one for one in json_lines(path, Question) if one.turns]
    return found[:: max(1, len(found) // max(1, count))][:count]


def chat_template(folder: Path) -> Template:
    """Give the chat template of a model folder. Raises BenchError where it has none."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    if not tokenizer.chat_template:
        raise BenchError(
            f"{folder.name} has no chat template, so it is no chat model; name an Instruct model"
        )

    def render(messages: Messages) -> list[int]:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        ids: list[int] = tokenizer.encode(str(text), add_special_tokens=False)
        return ids

    return render


def measure(
    ways: Sequence[Sequence[Writer]],
    asked: Sequence[Question],
    template: Template,
    tokenizer: Tokenizer,
    *,
    count: int,
    context_tokens: int,
    seconds: float,
    advanced: Advanced,
) -> tuple[dict[str, Figure], ...]:
    """Ask every question in one of the `ways`, in turn, of all writers of that way; a row each.

    An answer written once is written faster by whoever remembers it, so writers that share an
    engine never meet the same question.
    """
    writers = [writer for way in ways for writer in way]
    warm = Ask(template([{"role": "user", "content": "Say hello in three languages."}]))
    for number, writer in enumerate(writers):
        advanced(f"warming up: {writer.name}", 100 * number // len(writers))
        writer.write(warm, WARM_UP_TOKENS)
    accounts = {writer.name: Account() for writer in writers}
    began = time.perf_counter()
    room = context_tokens - count
    for place, question in enumerate(asked):
        spent = time.perf_counter() - began
        if place and spent > seconds:
            break
        share = max(place / len(asked), spent / seconds)
        advanced(f"question {place + 1} of at most {len(asked)}", int(100 * min(1.0, share)))
        turn = place // len(ways) % len(ways[0])
        way = ways[place % len(ways)]
        for writer in [*way[turn:], *way[:turn]]:
            answers = talk(writer, question, template, tokenizer, count, room)
            accounts[writer.name].written += answers
    return tuple(accounts[writer.name].figures(writer.name, same_text=False) for writer in writers)


def talk(
    writer: Writer,
    question: Question,
    template: Template,
    tokenizer: Tokenizer,
    count: int,
    room: int,
) -> Iterator[Written]:
    """Give the answers of a conversation; it ends early where its prompt would not fit."""
    messages: Messages = []
    for turn in question.turns:
        messages.append({"role": "user", "content": turn})
        ids = template(messages)
        if len(ids) > room:
            return
        written = writer.write(Ask(ids), count)
        yield written
        messages.append({"role": "assistant", "content": _text(tokenizer, written)})


def _text(tokenizer: Tokenizer, written: Written) -> str:
    return b"".join(map(tokenizer.token_bytes, written.tokens)).decode("utf-8", "replace")
