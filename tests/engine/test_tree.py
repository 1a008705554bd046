"""The tree as plain data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbrella_engine.tree import ROOT, Tree, chain
from umbrella_engine.verify import walk


def test_equal_prefixes_are_shared() -> None:
    tree = Tree()
    first = tree.add_chain([1, 2, 3])
    assert tree.add_chain([1, 2]) == tree.parents[first]
    assert len(tree) == 3
    assert tree.path_tokens(tree.add_chain([1, 4])) == [1, 4]


def test_a_node_proposed_again_keeps_the_larger_probability() -> None:
    tree = chain([1, 2], source="a", probability=0.5)
    tree.add_chain([1, 2, 3], source="b", probability=0.7)
    tree.add_chain([1], source="c", probability=0.1)
    assert tree.probabilities == [0.7, 0.7, 0.7]
    assert tree.sources == ["a", "a", "b"]


def test_a_parent_must_exist() -> None:
    with pytest.raises(ValueError, match="parent 3 is not in a tree of 0 nodes"):
        Tree().add(1, parent=3)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 30)), max_size=30))
def test_ancestors_are_the_path(nodes: list[tuple[int, int]]) -> None:
    tree = Tree()
    for token, parent in nodes:
        tree.add(token, min(parent, len(tree) - 1))
    for node in range(len(tree)):
        path = tree.path(node)
        assert tree.ancestors[node] == sum(1 << i for i in path)
        assert tree.depths[node] == len(path)
        assert tree.parents[path[0]] == ROOT


def test_tokens_are_followed_as_far_as_they_are_there() -> None:
    tree = Tree()
    tree.add_chain([5, 6])
    tree.add_chain([7, 8, 9])
    assert tree.follow([7, 8, 1, 9]) == [2, 3]
    assert tree.follow([5, 6, 7]) == [0, 1]
    assert tree.follow([6]) == tree.follow([]) == []


def test_walk_goes_down_as_long_as_the_target_agrees() -> None:
    tree = Tree()
    tree.add_chain([5, 6])
    tree.add_chain([7, 8, 9])
    choices = [7, 0, 0, 8, 1, 0]  # after the root, then after each node
    assert walk(tree, choices) == ([2, 3], 1)
    assert walk(tree, [4, 0, 0, 0, 0, 0]) == ([], 4)
    assert walk(Tree(), [4]) == ([], 4)
    assert walk(chain([1, 2]), [1, 2, 3]) == ([0, 1], 3)
