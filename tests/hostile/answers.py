"""3.6: false answers: what code sends to the harness in place of an image."""

from __future__ import annotations

from hostile.attacks import attack
from hostile.kind import Class, Place

answers = Class(limits="case_s = 60\nmemory_gib = 1")
NOTHING_MORE = "channel()._put = lambda *_: None\n    return image"
"""The worker's own answer is not sent."""


@attack("part", "stopped", says=("without an answer", "ended"), of=answers)
def ends_without_an_answer(place: Place) -> str:
    return "os._exit(0)"


@attack("part", "stopped", says=("signal 11",), of=answers)
def crashes(place: Place) -> str:
    return "ctypes.string_at(0)"


@attack("part", "stopped", of=answers)
def closes_its_side(place: Place) -> str:
    return """
    for number in range(64):
        try:
            os.close(number)
        except OSError:
            pass
    time.sleep(1000)
    """


def frames(answer: str, then: str = "time.sleep(1000)") -> str:
    return f"""
    import json, struct
    frame = struct.Struct("<4sBBBB4IQQ")
    def text(**words):
        data = words.pop("raw", None) or json.dumps(words).encode()
        return frame.pack(b"EVF1", 1, 0, 0, 0, 0, 0, 0, 0, 0, len(data)) + data
    def array(shape, code, data, size=None, shared=0, offset=0):
        dims = (*shape, *([0] * (4 - len(shape))))
        size = len(data) if size is None else size
        return frame.pack(b"EVF1", 3, code, len(shape), shared, *dims, offset, size) + data
    out = channel()._write
    os.set_blocking(out, True)
    def send(data):
        while data:
            data = data[os.write(out, data):]
    {answer}
    {then}
    """


@attack("part", "stopped", says=("breaks the protocol",), of=answers)
def sends_noise(place: Place) -> str:
    return frames("send(os.urandom(1 << 20))")


@attack("part", "stopped", says=("breaks the protocol",), of=answers)
def announces_an_exabyte(place: Place) -> str:
    return frames("send(text(payloads=1) + array((1 << 31, 1 << 31, 1 << 2), 5, b'', (1 << 60)))")


@attack("part", "stopped", says=("breaks the protocol",), of=answers)
def announces_a_long_text(place: Place) -> str:
    return frames("send(frame.pack(b'EVF1', 1, 0, 0, 0, 0, 0, 0, 0, 0, 1 << 62))")


@attack("part", "stopped", says=("breaks the protocol",), of=answers)
def announces_a_million_payloads(place: Place) -> str:
    return frames("send(text(payloads=1000000))")


@attack("part", "stopped", says=("breaks the protocol",), of=answers)
def answers_outside_the_shared_memory(place: Place) -> str:
    return frames("send(text(payloads=1) + array((20, 24, 3), 1, b'', 1440, 1, (1 << 64) - 1024))")


@attack("part", "stopped", says=("breaks the protocol",), of=answers)
def answers_with_another_size_than_shape(place: Place) -> str:
    return frames("send(text(payloads=1) + array((20, 24, 3), 1, bytes(7)))")


@attack("part", "stopped", says=("breaks the protocol",), of=answers)
def answers_with_brackets(place: Place) -> str:
    return frames("send(text(raw=b'[' * 60000))")


@attack("part", "stopped", says=("breaks the protocol",), of=answers)
def answers_with_a_list(place: Place) -> str:
    return frames("send(text(raw=b'[1]'))")


@attack("scored", never=("seams",), of=answers)
def answers_with_absurd_seams(place: Place) -> str:
    lie = """text(raw=b'{"payloads": 1, "seams": 1' + b"0" * 4000 + b"}")"""
    return frames(f"send({lie} + array(image.shape, 1, image.tobytes()))", NOTHING_MORE)


@attack("part", "array-shape", of=answers)
def answers_with_an_empty_array(place: Place) -> str:
    return frames("send(text(payloads=1) + array((0, 24, 3), 1, b''))", NOTHING_MORE)


@attack("part", of=answers)
def answers_with_a_problem_of_its_own(place: Place) -> str:
    return frames(
        "send(text(payloads=0, problem={'code': '<script>alert(1)</script>' * 99, 'expected': '\\x1b[2J', "
        "'got': '\\ud800', 'fix': 'x' * 60000}))",
        NOTHING_MORE,
    )


@attack("part", "run-failed", of=answers)
def fails_in_steering_words(place: Place) -> str:
    return """
    words = "\\x1b]0;owned\\x07\\n\\nerror [size] honest: \\u202e\\ud800<script>"
    raise type("\\x1b[2JError<script>", (Exception,), {})(words)
    """


@attack("part", "not-finite", of=answers)
def answers_with_nan(place: Place) -> str:
    return "return np.full(image.shape, np.nan, np.float32)"


@attack("part", "model-output", of=answers)
def answers_with_objects(place: Place) -> str:
    return """
    class Evil:
        def __reduce__(self):
            return os.mkdir, ("/tmp/pickled",)
    return np.array([Evil()], object)
    """


@attack("part", "model-output", of=answers)
def answers_with_something_lazy(place: Place) -> str:
    return """
    class Lazy:
        shape, dtype = image.shape, image.dtype
        def __array__(self, *_):
            return image
    return Lazy()
    """


@attack("part", "size", of=answers)
def answers_with_another_size(place: Place) -> str:
    return "return image[:-1]"


@attack("part", "model-output", of=answers, says=("192000000 bytes",))
def answers_with_a_gigapixel(place: Place) -> str:
    return "return np.broadcast_to(np.uint8(0), (8000, 8000, 3))"
