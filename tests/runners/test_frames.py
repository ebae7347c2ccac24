"""Frames: what is sent arrives as it was, and what is no frame is refused before memory is taken for it."""

from __future__ import annotations

import json
import os
import struct
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from evaluator.runners import frames
from evaluator.runners.frames import Channel, Closed, FrameError, Limits, Timeout, share

HEADER = struct.Struct("<4sBBBB4IQQ")  # as the module's documentation of the wire has it
TEXT, BYTES, ARRAY = 1, 2, 3
UINT8, FLOAT64 = 1, 5
SHARED = 1 << 21
ROOMY = Limits(text=1 << 20, payloads=8, payload=1 << 24)
DTYPES = ("uint8", "uint16", "float16", "float32", "float64")


class Ends:
    """Two channels with a pipe each way, and the raw end through which a worker would lie."""

    def __init__(self, shared: int = 0) -> None:
        there, self.write = os.pipe()
        self.read, here = os.pipe()
        made = share(shared) if shared else None
        self.memory = made[1] if made else None
        self.one = Channel(self.read, self.write, self.memory)
        self.other = Channel(there, here, self.memory)
        self.raw = here
        self._open = {there, self.write, self.read, here} | ({made[0]} if made else set())

    def shut(self, *descriptors: int) -> None:
        for descriptor in descriptors:
            self._open.remove(descriptor)
            os.close(descriptor)

    def close(self) -> None:
        self.shut(*self._open)


@pytest.fixture(params=["pipe", "shared"])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    """Two ends, without and with shared memory."""
    made = Ends(SHARED if request.param == "shared" else 0)
    yield made
    made.close()


def header(kind: int, *, dtype: int = 0, dims: tuple[int, ...] = (), shared: int = 0, offset: int = 0, size: int = 0,
           count: int | None = None, magic: bytes = b"EVF1") -> bytes:  # fmt: skip
    full = (*dims, *[0] * (4 - len(dims)))
    return HEADER.pack(magic, kind, dtype, len(dims) if count is None else count, shared, *full, offset, size)


def text(value: Any) -> bytes:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return header(TEXT, size=len(data)) + data


def exchanged(ends: Ends, message: dict[str, Any], payloads: list[Any]) -> tuple[dict[str, Any], list[Any]]:
    """Send a message, receive it at the other end."""
    sender = threading.Thread(target=ends.other.send, args=(message, payloads), kwargs={"seconds": 20})
    sender.start()
    try:
        return ends.one.receive(ROOMY, seconds=20)
    finally:
        sender.join()


IMAGES = st.sampled_from(DTYPES).flatmap(
    lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=7))
)
TEXTS = st.dictionaries(st.text(max_size=5), st.text(max_size=20) | st.integers() | st.none(), max_size=3)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS, st.lists(IMAGES | st.binary(max_size=300), max_size=4))
def test_what_is_sent_arrives(ends: Ends, message: dict[str, Any], payloads: list[Any]) -> None:
    message.pop("payloads", None)
    said, found = exchanged(ends, message, payloads)
    assert said == {**message, "payloads": len(payloads)}
    for sent, got in zip(payloads, found, strict=True):
        if isinstance(sent, bytes):
            assert got == sent
        else:
            assert (got.dtype, got.shape) == (sent.dtype, sent.shape)
            assert got.tobytes() == sent.tobytes()
            assert got.flags.c_contiguous
            assert got.flags.writeable


@pytest.mark.parametrize("dtype", DTYPES)
def test_large_payloads_arrive_by_both_ways_and_are_copies(ends: Ends, dtype: str) -> None:
    random = np.random.default_rng(1)
    # The third does not fit into the shared memory beside the others: it goes through the pipe.
    sent = [(random.random((side, side, 3)) * 200).astype(dtype)[:, ::-1] for side in (150, 160, 300, 310)]
    _, found = exchanged(ends, {}, [*sent, random.bytes(100_000)])
    if ends.memory is not None:
        assert any(ends.memory), "nothing went through the shared memory"
        ends.memory[:] = bytes(SHARED)
    for one, other in zip(sent, found[:4], strict=True):
        assert np.array_equal(one, other), "what was received changes with the shared memory"


@pytest.mark.parametrize("bad", [np.zeros((1, 1, 1, 1, 1)), np.zeros((2, 2), np.int64), np.zeros(1, "S3")])
def test_what_frames_cannot_hold_is_refused_by_the_sender(ends: Ends, bad: Any) -> None:
    with pytest.raises(TypeError):
        ends.other.send({}, [bad], seconds=5)


ONE = text({"payloads": 1})
LIES: dict[str, bytes] = {
    "magic": header(TEXT, magic=b"EVF2", size=2) + b"{}",
    "garbage": b"Traceback (most recent call last): and so on, for more than one header",
    "no text": header(ARRAY, dtype=UINT8, dims=(2, 2), size=4) + b"1234",
    "unknown kind of message": header(9, size=2) + b"{}",
    "long text": header(TEXT, size=1 << 62),
    "no JSON": text(b"{'a': 1}"),
    "no UTF-8": text(b'{"\xff": 1}'),
    "deep JSON": text(b"[" * 60_000),
    "deep JSON in an object": text(b'{"a":' * 60_000 + b"1" + b"}" * 60_000),
    "a long number": text(b'{"payloads": 0, "x": ' + b"9" * 10_000 + b"}"),
    "a list": text([1]),
    "no count": text({}),
    "a count that is a truth": text({"payloads": True}),
    "a count that is a text": text({"payloads": "1"}),
    "a count that is a fraction": text({"payloads": 1.0}),
    "NaN for a count": text(b'{"payloads": NaN}'),
    "a negative count": text({"payloads": -1}),
    "too many payloads": text({"payloads": 9}),
    "a text for a payload": ONE + text({"payloads": 0}),
    "unknown kind of payload": ONE + header(7, size=4) + b"1234",
    "more bytes than allowed": ONE + header(BYTES, size=(1 << 24) + 1),
    "as many bytes as can be said": ONE + header(BYTES, size=(1 << 64) - 1),
    "unknown type": ONE + header(ARRAY, dtype=9, dims=(4,), size=4) + b"1234",
    "type 0": ONE + header(ARRAY, dtype=0, dims=(4,), size=4) + b"1234",
    "no dimensions": ONE + header(ARRAY, dtype=UINT8, size=1) + b"1",
    "five dimensions": ONE + header(ARRAY, dtype=UINT8, dims=(1, 1, 1, 1), count=5, size=1) + b"1",
    "255 dimensions": ONE + header(ARRAY, dtype=UINT8, dims=(1, 1, 1, 1), count=255, size=1) + b"1",
    "less than the shape": ONE + header(ARRAY, dtype=UINT8, dims=(2, 2), size=3) + b"123",
    "more than the shape": ONE + header(ARRAY, dtype=UINT8, dims=(2, 2), size=5) + b"12345",
    "bytes that are no whole values": ONE + header(ARRAY, dtype=FLOAT64, dims=(1,), size=4) + b"1234",
    "a shape that overflows": ONE + header(ARRAY, dtype=FLOAT64, dims=(1 << 31,) * 2 + (4,), size=0),
    "an empty array of a huge shape": ONE + header(ARRAY, dtype=UINT8, dims=(0, *[(1 << 32) - 1] * 3), size=0),
    "outside the shared memory": ONE + header(BYTES, shared=1, offset=SHARED - 3, size=4),
    "far outside the shared memory": ONE + header(BYTES, shared=1, offset=(1 << 64) - 1, size=4),
    "an array outside the shared memory": ONE + header(ARRAY, dtype=UINT8, dims=(4,), shared=1, offset=SHARED, size=4),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_is_no_frame_is_refused_before_memory_is_taken_for_it(ends: Ends, lie: str) -> None:
    writer = threading.Thread(target=lambda: os.write(ends.raw, LIES[lie]))
    os.set_blocking(ends.raw, True)
    writer.start()
    tracemalloc.start()
    try:
        with pytest.raises(FrameError):
            ends.one.receive(ROOMY, seconds=20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        writer.join()
    assert peak < 1 << 23, "memory was taken for what was announced"


def test_shared_memory_where_there_is_none_is_refused() -> None:
    ends = Ends()
    os.write(ends.raw, ONE + header(BYTES, shared=1, offset=0, size=4))
    with pytest.raises(FrameError, match="outside"):
        ends.one.receive(ROOMY, seconds=20)
    ends.close()


@settings(max_examples=200)
@given(st.binary(max_size=300), st.booleans(), st.data())
def test_whatever_comes_is_a_message_or_one_of_three_errors(junk: bytes, whole: bool, data: st.DataObject) -> None:
    ends = Ends(SHARED)
    try:
        if whole:
            numbers = st.integers(0, 255)
            fields = [data.draw(numbers) for _ in range(4)] + [
                data.draw(st.integers(0, (1 << 32) - 1)) for _ in range(4)
            ]
            ends.other.send({"payloads": 1}, [])
            junk = ONE + HEADER.pack(b"EVF1", *fields, data.draw(st.integers(0, SHARED)), len(junk)) + junk
        os.write(ends.raw, junk)
        ends.shut(ends.raw)
        for _ in range(2):
            ends.one.receive(ROOMY, seconds=20)
    except (FrameError, Closed):
        pass
    finally:
        ends.close()


@pytest.mark.parametrize("come", [b"", ONE[:20], text({"payloads": 1})])
def test_a_message_that_does_not_come_whole_in_time(ends: Ends, come: bytes) -> None:
    os.write(ends.raw, come)
    with pytest.raises(Timeout):
        ends.one.receive(ROOMY, seconds=0.05)


@pytest.mark.parametrize("come", [b"", ONE[:20], text({"payloads": 1})])
def test_the_other_side_goes_away_amid_a_message(ends: Ends, come: bytes) -> None:
    os.write(ends.raw, come)
    ends.shut(ends.raw)
    with pytest.raises(Closed):
        ends.one.receive(ROOMY, seconds=20)


def test_one_that_does_not_read_keeps_the_sender_no_longer_than_it_may(ends: Ends) -> None:
    with pytest.raises(Timeout):
        ends.other.send({}, [bytes(1 << 23)], seconds=0.05)


def test_sending_to_one_that_is_gone(ends: Ends) -> None:
    ends.shut(ends.read)
    with pytest.raises(Closed):
        ends.other.send({}, [b"x"], seconds=20)


def test_shared_memory_cannot_be_resized_under_its_reader() -> None:
    made = share(1 << 16)
    if made is None:
        pytest.skip("this system has no memory of that kind")
    descriptor, memory = made
    resize: list[Callable[[], object]] = [
        lambda: os.ftruncate(descriptor, 10),
        lambda: os.ftruncate(descriptor, 1 << 20),
    ]
    for attack in resize:
        with pytest.raises(PermissionError):
            attack()
    assert len(memory) == 1 << 16
    os.close(descriptor)


def test_memory_of_a_large_payload_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "_LARGE", 1 << 17)
    ends = Ends(SHARED)
    try:
        sent = [np.full(99_999, 7, np.uint8), np.arange(40_001.0), bytes([9]) * 200_001]
        for _ in range(2):  # what was given back can be filled again
            _, found = exchanged(ends, {}, sent)
            np.testing.assert_array_equal(found[0], sent[0])
            np.testing.assert_array_equal(found[1], sent[1])
            assert found[2] == sent[2]
        assert ends.memory is not None
        held = bytes(ends.memory)
        assert held.count(7) >= 99_999  # small: it stays
        assert held.count(9) < 2 * 4096  # all but its first and last page
    finally:
        ends.close()
