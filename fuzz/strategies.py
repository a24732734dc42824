"""Values that look almost right: protobuf messages of any type, and bytes that were good before."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
TEXTS = (
    *("", ".", "..", "../..", "/etc/passwd", "a/../../b", "jobs/", "jobs/0123456789abcdef", "jobs/*", EMPTY_SHA256),
    *("plate.%04d.exr", "%d%d", "%s", "%n", "plate.####.png", "CON", "nul\0byte", "\r\n", "ü", "\U0001f600", "\u202e"),
    *(
        "draft",
        "anyportal",
        "comp",
        "exr",
        "1-10",
        "1001-1100x2",
        "1-999999999",
        "5,4,3",
        "-3--1",
        "#336699",
        "footage",
    ),
    *("a" * 300, "{}", "[]", "NaN", "01:00:00:00", "sRGB", "' OR 1=1 --", "<script>", "a" * 20_000),
)
NUMBERS = (0, 1, -1, 2, 255, 2**31 - 1, -(2**31), 2**32, 2**53, 2**63 - 1, -(2**63))
DEEP = 3
"""Messages in messages; Struct may hold itself."""

_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_ENUM: (-2, 40),
}


def texts() -> st.SearchStrategy[str]:
    return st.sampled_from(TEXTS) | st.text(st.characters(exclude_categories=("Cs",)), max_size=40)


def integers(low: int, high: int) -> st.SearchStrategy[int]:
    return st.sampled_from([number for number in NUMBERS if low <= number <= high]) | st.integers(low, high)


def messages(descriptor: Descriptor, deep: int = DEEP) -> st.SearchStrategy[Message]:
    """Messages of a type with some of their fields."""
    return st.composite(_message)(descriptor, deep)


def _message(draw: st.DrawFn, descriptor: Descriptor, deep: int) -> Message:
    message = GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if draw(st.integers(0, 2)) and (deep or field.message_type is None):
            _fill(draw, message, field, deep)
    return message


def _fill(draw: st.DrawFn, message: Message, field: FieldDescriptor, deep: int) -> None:
    entries = field.message_type is not None and field.message_type.GetOptions().map_entry
    if entries:
        for _ in range(draw(st.integers(0, 3))):
            key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
            _put(draw, getattr(message, field.name), draw(_scalar(key)), value, deep)
    elif field.is_repeated:
        values = getattr(message, field.name)
        for _ in range(draw(st.integers(0, 3))):
            if field.message_type is None:
                values.append(draw(_scalar(field)))
            else:
                values.add().CopyFrom(draw(messages(field.message_type, deep - 1)))
    elif field.message_type is None:
        setattr(message, field.name, draw(_scalar(field)))
    else:
        getattr(message, field.name).CopyFrom(draw(messages(field.message_type, deep - 1)))


def _put(draw: st.DrawFn, table: Any, key: Any, value: FieldDescriptor, deep: int) -> None:
    if value.message_type is None:
        table[key] = draw(_scalar(value))
    else:
        table[key].CopyFrom(draw(messages(value.message_type, deep - 1)))


def _scalar(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    kind = field.cpp_type
    if kind in _INTEGERS:
        return integers(*_INTEGERS[kind])
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return st.booleans()
    if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return st.floats(width=32)
    return st.binary(max_size=64) if field.type == FieldDescriptor.TYPE_BYTES else texts()


Edit = tuple[str, float, bytes]


def edits(most: int = 8) -> st.SearchStrategy[list[Edit]]:
    """What to do to a file: where is a share of its length, and more often near its head."""
    words = st.sampled_from([b"\0", b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\1", b"\n", b'"', b"["])
    at = st.floats(0, 1, exclude_max=True, allow_nan=False)
    step = st.tuples(st.sampled_from(("put", "insert", "cut", "end", "copy")), at, words | st.binary(max_size=8))
    return st.lists(step, min_size=1, max_size=most)


def edited(data: bytes, steps: list[Edit]) -> bytes:
    """A file with edits done to it."""
    for what, share, word in steps:
        at = int(share**3 * len(data))
        if what == "put":
            data = data[:at] + word + data[at + len(word) :]
        elif what == "insert":
            data = data[:at] + word + data[at:]
        elif what == "cut":
            data = data[:at] + data[at + 1 + len(word) * 4 :]
        elif what == "end":
            data = data[: len(data) - at]
        else:
            data = data[:at] + data[at // 2 : at // 2 + 64] + data[at:]
    return data
