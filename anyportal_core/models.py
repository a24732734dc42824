"""Where models lie, and which revision of them: folders and files below one root, in a published layout.

The root is no part of a recipe; the revision of what lies there is what enters the keys of results.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import platformdirs

from anyportal_core.errors import ModelNotFoundError
from anyportal_core.file_digests import FileDigests

VARIABLE: Final = "ANYPORTAL_MODELS"
"""The environment variable that names the root where the daemon's configuration does not."""


PICTURES: Final = (
    "unet",
    "vae",
    "text_encoder",
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
    "tokenizer/tokenizer_config.json",
)
VIDEO: Final = ("transformer", "vae", "text_encoder", "tokenizer/spiece.model", "scheduler/scheduler_config.json")
PROPAINTER: Final = ("raft-things.pth", "recurrent_flow_completion.pth", "ProPainter.pth")
"""What is read of a model of several parts."""

WEIGHTS: Final = ("diffusion_pytorch_model", "model", "pytorch_model")
"""What a network's weights may be called."""


@dataclass(frozen=True)
class Published:
    """A model as its authors publish it.

    Args:
        path: below the root.
        size: gigabytes to fetch, about.
        source: who publishes it where.
        parts: of its folder, those that are read: files, and folders of a network (``.`` is its own).
    """

    path: str
    size: float
    source: str
    parts: tuple[str, ...] = ()


PUBLISHED: Final[Mapping[str, Published]] = MappingProxyType(
    {
        "sd15": Published("sd15", 4.3, "huggingface.co/stable-diffusion-v1-5/stable-diffusion-v1-5", PICTURES),
        "sd15-inpainting": Published(
            "sd15-inpainting", 4.3, "huggingface.co/stable-diffusion-v1-5/stable-diffusion-inpainting", PICTURES
        ),
        "iclight/fc": Published("iclight/iclight_sd15_fc.safetensors", 1.7, "huggingface.co/lllyasviel/ic-light"),
        "iclight/fbc": Published("iclight/iclight_sd15_fbc.safetensors", 1.7, "huggingface.co/lllyasviel/ic-light"),
        "das": Published("das", 26.0, "huggingface.co/EXCAI/Diffusion-As-Shader", VIDEO),
        "cogvideox-5b": Published("cogvideox-5b", 21.5, "huggingface.co/THUDM/CogVideoX-5b", VIDEO),
        "cogvideox-2b": Published("cogvideox-2b", 13.8, "huggingface.co/THUDM/CogVideoX-2b", VIDEO),
        "controlnet/5b-hed": Published(
            "controlnet/5b-hed", 1.5, "huggingface.co/TheDenk/cogvideox-5b-controlnet-hed-v1", (".",)
        ),
        "controlnet/5b-canny": Published(
            "controlnet/5b-canny", 2.3, "huggingface.co/TheDenk/cogvideox-5b-controlnet-canny-v1", (".",)
        ),
        "controlnet/2b-hed": Published(
            "controlnet/2b-hed", 1.8, "huggingface.co/TheDenk/cogvideox-2b-controlnet-hed-v1", (".",)
        ),
        "controlnet/2b-canny": Published(
            "controlnet/2b-canny", 1.8, "huggingface.co/TheDenk/cogvideox-2b-controlnet-canny-v1", (".",)
        ),
        "hed": Published("hed", 0.03, "huggingface.co/lllyasviel/Annotators", ("ControlNetHED.pth",)),
        "propainter": Published("propainter", 0.2, "github.com/sczhou/ProPainter/releases", PROPAINTER),
        "depth": Published("depth", 1.4, "huggingface.co/Intel/zoedepth-nyu-kitti", (".", "preprocessor_config.json")),
        "cotracker": Published("cotracker/scaled_offline.pth", 0.1, "huggingface.co/facebook/cotracker3"),
        "sam2": Published("sam2", 0.9, "huggingface.co/facebook/sam2.1-hiera-large", (".",)),
        "edgetam": Published("edgetam", 0.06, "huggingface.co/yonigozlan/EdgeTAM-hf", (".",)),
        "vitmatte": Published("vitmatte", 0.1, "huggingface.co/hustvl/vitmatte-small-composition-1k", (".",)),
    }
)


@dataclass(frozen=True)
class Models:
    """The models of one root."""

    root: Path

    @classmethod
    def configured(cls, root: Path | None = None) -> Models:
        """The models of ``root``, else of $ANYPORTAL_MODELS, else of the user's data folder."""
        chosen = root or os.environ.get(VARIABLE) or Path(platformdirs.user_data_dir("anyportal")) / "models"
        return cls(Path(chosen).expanduser().absolute())

    def place(self, name: str) -> Path:
        """Where a model's file or folder is looked for."""
        known = PUBLISHED.get(name)
        return self.root / (known.path if known else name)

    def find(self, name: str) -> Path:
        """A model's file or folder.

        Raises:
            ModelNotFoundError: it is not there; says how big it is and where to get it.
        """
        self.require((name,))
        return self.place(name)

    def require(self, names: Iterable[str]) -> None:
        """Look whether models are there, with all of their parts.

        Raises:
            ModelNotFoundError: some are not; says of each how big it is and where to get it.
        """
        gaps = {name: gap for name in dict.fromkeys(names) if (gap := self._gap(name))}
        if not gaps:
            return
        missing = list(gaps)
        sized = ", ".join(map(_sized, missing))
        sources = [f"{name} from {PUBLISHED[name].source}" for name in missing if name in PUBLISHED]
        one = len(missing) == 1
        part = next(iter(gaps.values()))
        state = "is not there" if part == self.place(missing[0]) else f"is there only in part, without {part.name}"
        what = f"the model {sized} {state}" if one else f"{len(missing)} models are not there: {sized}"
        get = f"fetch {', '.join(sources)}" if sources else f"put {'its' if one else 'their'} files there"
        hint = f"{get}, or name the folder of the models in ${VARIABLE} or as `models` in the daemon's configuration"
        raise ModelNotFoundError(what, where=str(part if one else self.root), hint=hint)

    def _gap(self, name: str) -> Path | None:
        """The first thing of a model that is not there."""
        place = self.place(name)
        if not _there(place):
            return place
        parts = PUBLISHED[name].parts if name in PUBLISHED and place.is_dir() else ()
        return next((gap for part in parts if (gap := _gap(place / part, bool(Path(part).suffix)))), None)

    def size(self, name: str) -> int:
        """Bytes of a model's files; 0 where there are none."""
        return sum(file.stat().st_size for file in _files(self.place(name)))

    def revision(self, name: str, checkpoint: Callable[[], None] = lambda: None) -> str:
        """A digest of the names and bytes of a model's files. The first time, all of them are read.

        Args:
            checkpoint: called often meanwhile; may raise to stop.

        Raises:
            ModelNotFoundError: see `find`.
        """
        place = self.find(name)
        total = hashlib.sha256()
        for file in _files(place):
            digest = _digests.of(file, checkpoint)
            total.update(f"{file.relative_to(place.parent).as_posix()} {digest}\n".encode())
        return total.hexdigest()[:16]


_digests = FileDigests(Path(platformdirs.user_cache_dir("anyportal")) / "digests.json")
"""In the user's cache: the folder of the models may be one that nobody here may write to."""


def _sized(name: str) -> str:
    """A model's name, and how big it is where that is known."""
    return f"'{name}' (about {PUBLISHED[name].size:g} GB)" if name in PUBLISHED else f"'{name}'"


def _there(place: Path) -> bool:
    return place.is_file() or (place.is_dir() and any(place.iterdir()))


def _gap(part: Path, is_file: bool) -> Path | None:
    """What is not there of a file or of a network's folder: its configuration, its weights or one part of these."""
    if is_file or not (part / "config.json").is_file():
        wanted = part if is_file else part / "config.json"
        return None if wanted.is_file() else wanted
    whole = next((file for name in WEIGHTS if (file := part / f"{name}.safetensors").is_file()), None)
    index = next((file for name in WEIGHTS if (file := part / f"{name}.safetensors.index.json").is_file()), None)
    if index and not whole:
        return next((part / shard for shard in _shards(index) if not (part / shard).is_file()), None)
    return None if whole or any(part.glob("*.bin")) else part / "*.safetensors"


def _shards(index: Path) -> list[str]:
    """The files that an index names; none where it is broken, which is for its reader to say."""
    try:
        return sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def _files(place: Path) -> Iterator[Path]:
    """The files of a model in one order; hidden ones, which downloads leave behind, are none of it."""
    if place.is_file():
        yield place
    for file in sorted(place.rglob("*")) if place.is_dir() else ():
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(place).parts):
            yield file
