"""What is copied: repetition anywhere the engine knows of, and what stood there before."""

import pytest

from tests.engine.tiny import TinyTokenizer
from umbrella_engine.config import DraftConfig
from umbrella_engine.draft import Drafter
from umbrella_engine.draft.previous import ANSWERED, TAKEN_BACK, PreviousDrafter
from umbrella_engine.draft.references import References
from umbrella_engine.draft.suffix import SuffixDrafter, precision
from umbrella_engine.healing import Healing
from umbrella_engine.tree import Tree

TOKENIZER = TinyTokenizer()
PREFIX, SUFFIX, MIDDLE = 58, 59, 60
CONFIG = DraftConfig(suffix_min_match=2, suffix_tokens=4, suffix_branches=2)


def nothing() -> None:
    """A checkpoint that never stops anything."""


def proposed(drafter: Drafter, ids: list[int], owed: bytes = b"", room: int = 10) -> Tree:
    with drafter.begin(ids) as draft:
        return draft.propose(room, owed, nothing)


def answered(drafter: Drafter, ids: list[int], answer: list[int]) -> None:
    with drafter.begin(ids) as draft:
        draft.propose(10, b"", nothing)
        draft.accept(answer)


def ids(text: str) -> list[int]:
    return TOKENIZER.encode(text)


@pytest.fixture(scope="module")
def healing() -> Healing:
    return Healing(TOKENIZER)


def test_what_follows_the_cursor_is_not_mistaken_for_what_led_there(healing: Healing) -> None:
    drafter = SuffixDrafter(CONFIG, healing, TOKENIZER.fim)
    prompt = [PREFIX, 1, 2, 3, 4, 5, 9, 1, SUFFIX, 2, 3, 40, 41, MIDDLE, 2, 3]
    tree = proposed(drafter, prompt)
    assert tree.path_tokens(3) == [4, 5, 9, 1]  # 1 2 3, across the middle token
    assert tree.path_tokens(5) == [40, 41]  # 2 3, in the text after the cursor
    assert MIDDLE not in tree.tokens


def test_other_texts_are_copied_from(healing: Healing) -> None:
    references = References()
    drafter = SuffixDrafter(CONFIG, healing, TOKENIZER.fim, references)
    assert proposed(drafter, [1, 2, 3]).tokens == []
    references.remember("elsewhere", [7, 2, 3, 50, 51])
    assert proposed(drafter, [1, 2, 3]).tokens == [50, 51]
    answered(drafter, [30, 31, 32], [33, 34])
    assert proposed(drafter, [9, 31, 32]).tokens == [33, 34]  # of an earlier prompt and its answer


def test_requests_at_the_same_time_do_not_meet(healing: Healing) -> None:
    drafter = SuffixDrafter(CONFIG, healing, TOKENIZER.fim)
    answered(drafter, [1, 2, 3, 4, 1, 2], [3])
    with drafter.begin([1, 2, 3, 4, 1, 2]) as one, drafter.begin([1, 2, 3, 4, 1, 2]) as other:
        one.accept([9, 8, 1, 2])
        other.accept([7])
        assert one.propose(10, b"", nothing).tokens[:2] == [9, 8]
        other.accept([1, 2])
        assert other.propose(10, b"", nothing).tokens[:3] == [7, 1, 2]


def test_the_longer_the_match_the_likelier_the_copy(healing: Healing) -> None:
    assert [precision(length) for length in (1, 2, 4, 8, 32)] == [0.36, 0.45, 0.57, 0.78, 0.90]
    tree = proposed(
        SuffixDrafter(CONFIG, healing), [*range(1, 12), 20, 21, 9, 2, 3, 30, 5, *range(1, 4)]
    )
    assert tree.tokens[:4] == [4, 5, 6, 7]
    # 1 2 3 matched, then one more with every token
    assert tree.probabilities[:4] == [0.57, 0.57, 0.78, 0.78]
    other = tree.child(-1, 30)
    assert other is not None
    assert tree.probabilities[other] == pytest.approx(0.45 * (1 - 0.57))


def test_branches_part_where_the_texts_do(healing: Healing) -> None:
    tree = proposed(SuffixDrafter(CONFIG, healing), [1, 2, 7, 8, 9, 1, 2, 7, 8, 6, 1, 2])
    assert tree.path_tokens(3) == [7, 8, 6, 1]
    assert tree.path_tokens(4) == [7, 8, 9]


def test_copies_spell_what_is_owed(healing: Healing) -> None:
    text = ids("ab") + ids("cd") + ids("ab") + ids("da") + ids("ab")
    drafter = SuffixDrafter(DraftConfig(suffix_min_match=1), healing)
    for owed, first in ((b"c", b"c"), (b"d", b"d")):
        tree = proposed(drafter, text, owed)
        assert tree.tokens
        assert TOKENIZER.token_bytes(tree.tokens[0]).startswith(first)
    assert proposed(drafter, text, b"\n ").tokens == []


def test_typing_along_gives_the_rest_of_the_answer() -> None:
    drafter = PreviousDrafter(TOKENIZER)
    start, answer = ids("a b\n"), ids("abcd") + ids(" ") + ids("dcba\n")
    answered(drafter, start, answer)
    tree = proposed(drafter, start, room=30)
    assert tree.tokens == answer
    assert set(tree.probabilities) == {ANSWERED}
    assert set(tree.sources) == {"previous"}
    typed = answer[:1]
    assert proposed(drafter, start + typed, room=30).tokens == answer[1:]
    assert proposed(drafter, start, owed=b"ab", room=30).tokens == answer
    assert proposed(drafter, start, owed=b"b", room=30).tokens == []
    assert proposed(drafter, start, room=1).tokens == answer[:1]


def test_half_a_token_is_typed_along_too() -> None:
    drafter = PreviousDrafter(TOKENIZER)
    start = ids("d")
    long = max(range(58), key=lambda token: len(TOKENIZER.token_bytes(token)))
    text = TOKENIZER.token_bytes(long)
    answered(drafter, start, [long, *ids("ab")])
    tree = proposed(drafter, start + ids(text[:1].decode()), room=30)
    assert b"".join(map(TOKENIZER.token_bytes, tree.tokens)) == text[1:] + b"ab"


def test_what_was_taken_back_may_be_typed_again() -> None:
    drafter = PreviousDrafter(TOKENIZER)
    start, typed, answer = ids("a b\n"), ids("dcb"), ids(" aa")
    answered(drafter, start + typed, answer)
    tree = proposed(drafter, start, room=30)
    assert tree.tokens == typed + answer
    assert set(tree.probabilities) == {TAKEN_BACK}


def test_a_line_that_ends_moves_before_the_middle_and_is_known_there() -> None:
    drafter = PreviousDrafter(TOKENIZER)
    answered(drafter, [PREFIX, 1, 2, SUFFIX, 9, MIDDLE, 3], [4, 5, 6, 7])
    assert proposed(drafter, [PREFIX, 1, 2, 3, 4, SUFFIX, 9, MIDDLE, 5]).tokens == [6, 7]


def test_an_answer_is_dropped_where_the_target_differs() -> None:
    drafter = PreviousDrafter(TOKENIZER)
    answered(drafter, [1, 2], [3, 4, 5, 6])
    with drafter.begin([1, 2]) as draft:
        assert draft.propose(10, b"", nothing).tokens == [3, 4, 5, 6]
        draft.accept([3, 4])
        assert draft.propose(10, b"", nothing).tokens == [5, 6]
        draft.accept([5, 7])
        assert draft.propose(10, b"", nothing).tokens == []
    # both ways it went on are known now
    assert proposed(drafter, [1, 2, 3]).tokens == [4, 5, 7, 6]


def test_text_that_differs_is_not_proposed() -> None:
    drafter = PreviousDrafter(TOKENIZER)
    answered(drafter, [1, 2, 3], [4, 5])
    assert proposed(drafter, [1, 9]).tokens == []
    assert proposed(drafter, [1, 2, 3, 4, 5]).tokens == []  # nothing is left
    answered(drafter, [1, 2, 3], [4, PREFIX, 5])
    assert proposed(drafter, [1, 2, 3]).tokens[:2] == [4, 5]  # control tokens end an answer
