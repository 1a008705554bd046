from umbrella_daemon.web.pictures import branches, completion, trees
from umbrella_daemon.wire import Completed, Node, VerifiedTree

STEP = VerifiedTree(
    (
        Node("a", -1, "model", False),
        Node("b", -1, "suffix", True),
        Node("c", 1, "suffix", False),
        Node("<d>", 1, "model", True),
        Node("e", 3, "model", False),
        Node("f", 0, "model", False),
    ),
    bonus="end\n",
)


def test_each_node_is_in_one_line_and_the_accepted_path_comes_first() -> None:
    assert branches(STEP) == [[1, 3, 4], [2], [0, 5]]
    assert branches(VerifiedTree((), "x")) == []


def test_nodes_have_the_colour_of_their_source_and_say_whether_they_were_accepted() -> None:
    html = trees([STEP])
    assert html.count('class="umbrella-node refused"') == 4
    assert "1 of 2 accepted" in html
    assert "1 of 4 accepted" in html
    assert "2 of 6 drafted tokens accepted" in html
    assert html.index("&lt;d&gt;") < html.index("end↵") < html.index(">e<")


def test_a_step_without_drafts_shows_what_the_target_said() -> None:
    assert "alone" in trees([VerifiedTree((), "alone")])
    assert trees([]) == ""


def test_a_completion_stands_in_its_place_and_nothing_in_it_is_obeyed() -> None:
    html = completion("a < ", ")\nrest", Completed(1, "<script>)", 1))
    assert 'a &lt; <span class="umbrella-ghost">&lt;script&gt;)</span>\nrest' in html
    silent = completion("x", "", Completed(1, reason="empty", detail="Nothing <b>here</b>"))
    assert "Nothing to suggest (empty): Nothing &lt;b&gt;here&lt;/b&gt;" in silent
