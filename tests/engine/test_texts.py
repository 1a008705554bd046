"""The text that a device searches: in which order, how much of it, what is kept."""

from tests.engine.tiny import TinyTokenizer
from umbrella_engine.draft import texts
from umbrella_engine.draft.references import References
from umbrella_engine.draft.texts import SEPARATOR, Texts

FIM = TinyTokenizer.fim


def test_own_text_comes_last_and_what_follows_the_cursor_before_it() -> None:
    references = References()
    references.remember("far", [9, 9, 9])
    store = Texts(FIM, references)
    hole = [FIM.prefix, 1, 2, FIM.suffix, 7, 8, FIM.middle]
    with store.begin(hole) as text:
        found = text.upto([*hole, 3, 4])
    assert found == [9, 9, 9, SEPARATOR, 7, 8, SEPARATOR, FIM.prefix, 1, 2, 3, 4]


def test_an_answer_is_kept_for_later_requests_and_replaces_what_it_continues() -> None:
    store = Texts(None, References())
    for ids, settled in (([1, 2, 3], [4]), ([1, 2, 3, 4, 5], [6]), ([30, 31], [32])):
        with store.begin(ids) as text:
            text.upto(ids)
            text.settle(settled)
    with store.begin([8]) as text:
        assert text.upto([8]) == [1, 2, 3, 4, 5, 6, SEPARATOR, 30, 31, 32, SEPARATOR, 8]


def test_the_nearest_texts_are_searched_where_there_are_too_many() -> None:
    references = References()
    references.remember("old", [1] * (texts.MOST_TOKENS // 2))
    references.remember("new", [2] * (texts.MOST_TOKENS // 2))
    with Texts(None, references).begin([3] * 100) as text:
        found = text.upto([3] * 100)
    assert found.count(3) == 100
    assert found.count(2) == texts.MOST_TOKENS // 2
    assert found.count(1) == texts.MOST_TOKENS // 2 - 100


def test_a_long_text_of_its_own_leaves_the_others_out() -> None:
    references = References()
    references.remember("other", [1, 2])
    ids = list(range(texts.MOST_TOKENS + 10))
    with Texts(None, references).begin(ids) as text:
        assert text.upto(ids) == ids
