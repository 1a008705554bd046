import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbrella_daemon import wire

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
MESSAGES = st.one_of(
    st.builds(wire.Hello, st.integers(0, 9), TEXT, TEXT, st.integers(0, 2**31)),
    st.builds(
        wire.Complete,
        id=st.integers(0, 2**60),
        document=TEXT,
        version=st.integers(0, 2**31),
        language=TEXT,
        path=TEXT,
        prefix=TEXT,
        suffix=TEXT,
        explicit=st.booleans(),
        max_tokens=st.none() | st.integers(1, 99),
        candidates=st.integers(0, 9),
    ),
    st.builds(wire.Cancel, st.integers(0, 2**60)),
)


@given(st.lists(MESSAGES, max_size=5), st.integers(1, 40))
def test_a_stream_cut_anywhere_gives_the_frames_that_were_sent(
    messages: list[wire.Request], size: int
) -> None:
    stream = b"".join(map(wire.frame, messages))
    reader = wire.FrameReader()
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    bodies = [body for piece in pieces for body in reader.feed(piece)]
    assert [wire.decode_request(body) for body in bodies] == messages


@given(st.binary(max_size=300))
def test_garbage_is_a_message_or_a_decode_error(body: bytes) -> None:
    for decode in (wire.decode_request, wire.decode_reply):
        try:
            decode(body)
        except msgspec.DecodeError:
            continue


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode({"t": "Complete", "id": 1}),
        msgspec.msgpack.encode({"t": "Sing"}),
        msgspec.msgpack.encode({"id": 1}),
        b"\x82\xa1t\xa4Stop\xa2id\xa1x",
        # a string that is no UTF-8
        b"\x85\xa1t\xa5Hello\xa8protocol\x01\xa6client\xa1\xff\xa7version\xa0\xa3pid\x01",
    ],
)
def test_what_is_no_request_is_refused_as_such(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message is the codec's own
        wire.decode_request(body)


def test_a_frame_that_announces_too_much_is_refused_before_it_is_read() -> None:
    reader = wire.FrameReader()
    assert reader.feed(wire.HEADER.pack(wire.MAX_FRAME_BYTES)) == []
    with pytest.raises(ValueError, match="at most 16777216 are accepted"):
        wire.FrameReader().feed(wire.HEADER.pack(wire.MAX_FRAME_BYTES + 1))


def test_unknown_fields_of_a_newer_minor_version_are_ignored() -> None:
    body = msgspec.msgpack.encode({"t": "Cancel", "id": 7, "since": "later"})
    assert wire.decode_request(body) == wire.Cancel(7)


def test_every_reply_survives_the_wire() -> None:
    trace = wire.Trace(
        document="a.py", drafts={"suffix": wire.Drafted((2, 1), (1,), 4.5)}, ms={"total": 1.5}
    )
    phase = wire.Phase("downloading", "fetching", 43)
    replies: list[wire.Reply] = [
        wire.Welcome(1, "0.1.0", 12),
        wire.Refused("no"),
        wire.Completed(3, "text", 2, trace=trace),
        wire.Completed(4, "text", alternatives=(wire.Alternative("other", 1),)),
        phase,
        wire.Status(
            1, phase, "0", 2, 3.5, "p", "cpu", "f32", 4, ["a"], 5, 4, {"empty": 1}, [trace]
        ),
        wire.Stopping(9),
    ]
    for reply in replies:
        (body,) = wire.FrameReader().feed(wire.frame(reply))
        assert wire.decode_reply(body) == reply
