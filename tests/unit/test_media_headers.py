"""Headers that something has happened to. Found by `python -m fuzz`."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import OpenImageIO as oiio

from anyportal_core.errors import MediaUnreadableError
from anyportal_core.media.clip import open_clip
from anyportal_core.shot import MediaRef


def test_a_header_with_text_that_is_none_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "plate.exr"
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), oiio.ImageSpec(8, 8, 3, oiio.HALF))
    assert out.write_image(np.zeros((8, 8, 3), np.float32))
    out.close()
    data, reasons = path.read_bytes(), set()
    for at in range(8, 200):
        path.write_bytes(data[:at] + b"\xff" * 4 + data[at + 4 :])
        try:
            open_clip(MediaRef(path)).close()
        except MediaUnreadableError as error:
            reasons.add(type(error.__cause__))
    assert UnicodeDecodeError in reasons


def test_a_movie_whose_tags_are_in_another_encoding_is_read(tmp_path: Path) -> None:
    path = tmp_path / "plate.mkv"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "a title"
        stream = container.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode())
    path.write_bytes(path.read_bytes().replace(b"a title", b"\xfcbung!!"))
    with open_clip(MediaRef(path)) as clip:
        assert len(list(clip.frames(clip.info.numbers))) == 1
