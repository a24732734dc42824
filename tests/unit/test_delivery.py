"""What can be asked for of a delivery, and what is said of anything else."""

from __future__ import annotations

import pytest

from anyportal_core.delivery import COMPRESSIONS, FORMATS, LAYERS, Delivery
from anyportal_core.errors import RecipeError, UnknownNameError
from anyportal_core.media.movie_formats import MOVIE_FORMATS
from anyportal_core.media.output import MOVIES, result_name


def test_layers_are_kept_in_one_order() -> None:
    assert Delivery(("wrap", "matte", "comp", "shadow")).layers == ("comp", "matte", "shadow", "wrap")
    assert Delivery(LAYERS[::-1]).layers == LAYERS


@pytest.mark.parametrize(
    ("asked", "hint", "where"),
    [
        ({"layers": ("cleanplate",)}, "did you mean clean_plate", "delivery.layers"),
        ({"format": "h264"}, "did you mean h265", "delivery.format"),
        ({"format": "prores444"}, "prores4444", "delivery.format"),
        ({"format": "dnxhd"}, "dnxhr", "delivery.format"),
        ({"format": "avi"}, "known: auto, dnxhr, exr, h265, mp4", "delivery.format"),
        ({"compression": "dwaa"}, "dwab", "delivery.compression"),
    ],
)
def test_unknown_names_offer_the_nearest(asked: dict[str, object], hint: str, where: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        Delivery(**asked)  # type: ignore[arg-type]
    assert hint in caught.value.hint and caught.value.where == where


def test_nothing_at_all_is_no_delivery() -> None:
    with pytest.raises(RecipeError, match="no layer"):
        Delivery(())


@pytest.mark.parametrize("format", [name for name in FORMATS if name not in ("auto", "exr")])
def test_only_exr_has_a_choice_of_compression(format: str) -> None:
    assert Delivery(format=format).compression == "zip"
    with pytest.raises(RecipeError, match=f"'dwab' is for EXR, not for {format}") as caught:
        Delivery(format=format, compression="dwab")
    assert caught.value.where == "delivery.compression"


def test_exr_takes_every_compression() -> None:
    assert [Delivery(format="exr", compression=name).compression for name in COMPRESSIONS] == list(COMPRESSIONS)


def test_every_format_has_a_file_name_and_movies_are_those_with_codecs() -> None:
    assert tuple(MOVIE_FORMATS) == MOVIES
    endings = {name: result_name("shot", "comp", name).rpartition(".")[2] for name in FORMATS if name != "auto"}
    assert endings == {
        "mp4": "mp4",
        "h265": "mp4",
        "prores": "mov",
        "prores4444": "mov",
        "dnxhr": "mov",
        "png": "png",
        "tiff": "tif",
        "exr": "exr",
    }
