"""The last two steps of a TFLite network taken off, since OpenCV takes most of its time for them.

They are a transposed convolution, which doubles the size, and a sigmoid. OpenCV 5 does the former many times slower
than a product of matrices does. TFLite's files are FlatBuffers: a table begins with the distance to the list of its
fields' places; what a field refers to lies as far behind it as it says; a vector begins with its length.
"""

from __future__ import annotations

import struct

_SUBGRAPHS = 2  # a field of the model
_OUTPUTS, _OPERATORS = 2, 3  # of a subgraph
_READ, _MADE = 1, 2  # of an operator: its tensors


def without_head(model: bytes) -> bytes:
    """The same network, which ends with what the last operator but one makes its picture from."""
    made = bytearray(model)
    graph = _element(made, _vector(made, _number(made, 0), _SUBGRAPHS), 0)
    operators, outputs = _vector(made, graph, _OPERATORS), _vector(made, graph, _OUTPUTS)
    count = _number(made, operators)
    features = _tensor(made, operators, count - 2, _READ)
    # What lies between unpacks the numbers of the steps that go, and would be taken for another end.
    while _tensor(made, operators, count - 1, _MADE) != features:
        count -= 1
    struct.pack_into("<I", made, operators, count)
    struct.pack_into("<I", made, outputs + 4, features)
    return bytes(made)


def _tensor(data: bytearray, operators: int, index: int, field: int) -> int:
    """The first tensor that an operator reads or makes."""
    return _number(data, _vector(data, _element(data, operators, index), field) + 4)


def _vector(data: bytearray, table: int, field: int) -> int:
    """Where the vector begins that a field of a table refers to."""
    fields = table - struct.unpack_from("<i", data, table)[0]
    place = table + struct.unpack_from("<H", data, fields + 4 + 2 * field)[0]
    return place + _number(data, place)


def _element(data: bytearray, vector: int, index: int) -> int:
    """Where the table begins that an element of a vector refers to."""
    place = vector + 4 + 4 * index
    return place + _number(data, place)


def _number(data: bytearray, place: int) -> int:
    return int(struct.unpack_from("<I", data, place)[0])
