"""A movie's file, opened as such and as nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
from av.container import InputContainer

from anyportal_core.errors import MediaNotFoundError, MediaUnreadableError
from anyportal_core.media import bounds

# Files that hold their own pictures or sound. libav knows others: playlists that make it open what they name, on
# this machine or elsewhere, whatever the file is called; and any text is a film of a terminal to it.
_FORMATS = (
    "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,mxf,flv,asf,ogg,nut,gif,apng,dv,gxf,ivf,"
    "h264,hevc,av1,obu,m4v,vc1,mjpeg,yuv4mpegpipe,wav,aiff,mp3,aac,ac3,flac"
)
_OPEN = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}


def open_file(path: Path) -> InputContainer:
    """Open a file with libav.

    Raises:
        MediaNotFoundError, MediaUnreadableError: it is not there, empty, or holds nothing that could be a movie.
        ShotError: its pictures are too large.
    """
    container = _opened(path)
    try:
        _bound(container, path)
    except BaseException:
        container.close()
        raise
    return container


def _bound(container: InputContainer, path: Path) -> None:
    """Keep to the limit what the header says, and what its decoders will find."""
    most = bounds.pixels()
    for stream in container.streams.video if most is not None else ():
        context: Any = stream.codec_context  # typed as always there
        if context is not None:
            bounds.check(context.width, context.height, path)
            context.options = {"max_pixels": str(most)}


def _opened(path: Path) -> InputContainer:
    try:
        if path.stat().st_size == 0:
            raise MediaUnreadableError("the file is empty", where=str(path), hint="copy or export it again")
        return av.open(str(path), options=_OPEN, metadata_errors="replace")
    except FileNotFoundError as error:
        raise MediaNotFoundError("there is no such file", where=str(path), hint="check the path") from error
    except av.FFmpegError as error:
        raise unreadable(path, error) from error
    except OSError as error:
        raise MediaUnreadableError(
            f"cannot be opened ({error.strerror})", where=str(path), hint="check the path and its permissions"
        ) from error


def unreadable(path: Path, error: av.FFmpegError) -> MediaUnreadableError:
    """The error for a file that libav makes nothing of."""
    return MediaUnreadableError(
        f"this is no movie or image that can be read, or it is cut short ({error.strerror})",
        where=str(path),
        hint="give a movie, a still or a sequence; if it is one, copy or export it again",
    )
