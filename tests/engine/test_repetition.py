"""The index of one text, references, and prompts in the order of the document."""

from hypothesis import given, settings
from hypothesis import strategies as st

from umbrella_engine.draft.logical import logical_order
from umbrella_engine.draft.references import References
from umbrella_engine.draft.repetition import LONG, MAX_MATCH, MAX_PLACES, IndexedText
from umbrella_engine.interface import FimTokens

FIM = FimTokens(prefix=90, suffix=91, middle=92)
texts = st.lists(st.integers(0, 3), max_size=40)


def slow_matches(text: list[int], recent: list[int], n: int) -> list[tuple[int, int]]:
    """Every place but the end, by looking at all of them."""
    found = []
    for place in range(len(text) - 1, n - 1, -1):
        length = 0
        while (
            length < min(place, len(recent), MAX_MATCH)
            and text[place - 1 - length] == recent[-1 - length]
        ):
            length += 1
        if length >= n and len(recent) >= n:
            found.append((length, place))
    return found


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(texts, min_size=1, max_size=6), texts, st.integers(1, 3))
def test_an_index_that_is_typed_into_equals_a_new_one(
    versions: list[list[int]], recent: list[int], n: int
) -> None:
    index = IndexedText(n)
    for version in versions:
        index.become(tuple(version))
        assert index.tokens == version
        assert index.matches(recent, n) == slow_matches(version, recent, n)
        assert index.matches(version, n) == slow_matches(version, version, n)
        assert index.matches(version, LONG) == slow_matches(version, version, LONG)
        assert index.matches(version, n + 1) == slow_matches(version, version, n + 1)


def test_only_the_latest_places_are_compared() -> None:
    index = IndexedText(2)
    index.extend([1, 2] * 500)
    found = index.matches([1, 2], 2)
    assert len(found) == MAX_PLACES - 1  # at the end itself nothing follows
    assert found[0] == (2, 998)


def test_references_are_bounded_and_the_oldest_goes_first() -> None:
    references = References(n=2, max_tokens=10)
    references.remember("a", [1, 2, 3, 4])
    references.remember("b", [5, 6, 7, 8])
    references.remember("a", [1, 2, 3, 9])
    assert [text.tokens for text in references] == [[1, 2, 3, 9], [5, 6, 7, 8]]
    references.remember("c", [1, 1, 1])
    assert [text.tokens for text in references] == [[1, 1, 1], [1, 2, 3, 9]]
    references.remember("d", list(range(99)))
    assert [text.tokens for text in references] == [list(range(10))]
    references.remember("d", [])
    assert list(references) == []


def test_the_text_after_the_cursor_is_a_text_of_its_own() -> None:
    assert logical_order([90, 1, 2, 91, 5, 6, 92, 3], FIM) == ([90, 1, 2, 3], [5, 6])
    assert logical_order([90, 1, 91, 92], FIM) == ([90, 1], [])
    assert logical_order([90, 91, 5, 6, 92, 1, 2], FIM) == ([90, 1, 2], [5, 6])  # suffix first
    without_middle = FimTokens(prefix=90, suffix=91, middle=92, order="sp")
    assert logical_order([7, 91, 5, 6, 90, 1, 2], without_middle) == ([7, 1, 2], [5, 6])
    assert logical_order([1, 2, 3], FIM) == ([1, 2, 3], [])
    assert logical_order([1, 92, 3], FIM) == ([1, 92, 3], [])
    assert logical_order((90, 1, 91, 5, 92), None) == ([90, 1, 91, 5, 92], [])
