"""What the refinement's decoded frames take over, and where in the latent."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from anyportal_core.method.projection import project  # noqa: E402
from anyportal_core.method.refinement import DETAIL, PATCH, PLATE_DETAIL, Transfer  # noqa: E402
from anyportal_core.plugins.cogvideox.boxed import Box, BoxedCodec, BoxedTransfers, foreground_box  # noqa: E402
from anyportal_core.plugins.cogvideox.codec import VideoCodec  # noqa: E402
from anyportal_core.plugins.cogvideox.transfers import (  # noqa: E402
    Pictures,
    Transfers,
    Untouched,
    latent_mask,
    to_frames,
    to_pictures,
)
from anyportal_core.testing.tiny.cogvideox import tiny_codec  # noqa: E402

SIZE = 48, 64


def pictures(seed: int = 0) -> Pictures:
    draw = torch.Generator().manual_seed(seed)
    plate, harmonised, background = torch.rand((3, 9, *SIZE, 3), generator=draw)
    matte = torch.zeros((9, *SIZE, 1))
    matte[:, 16:24, 32:40] = 1
    return Pictures(plate, harmonised, background, matte)


def decoded(seed: int = 1) -> torch.Tensor:
    return torch.rand((1, 9, 3, *SIZE), generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_a_latent_stands_for_eight_pixels_and_four_frames() -> None:
    matte = torch.zeros((9, *SIZE, 1))
    matte[0, 0, 0] = 0.1
    matte[5, 17, 40] = 0.1
    mask = latent_mask(matte, 0)
    assert mask.shape == (1, 3, 1, 6, 8) and mask.sum() == 2
    assert mask[0, 0, 0, 0, 0] and mask[0, 2, 0, 2, 5]
    assert latent_mask(matte, 1).sum() == 2 + 1  # column 40 is the first of its latent
    assert latent_mask(matte[:1], 0).shape == (1, 1, 1, 6, 8)


@pytest.mark.parametrize("dilate", [0, 1, 5, 16])
def test_a_latent_may_change_where_the_matte_is_within_a_square(dilate: int) -> None:
    matte = (torch.rand((5, *SIZE, 1), generator=torch.Generator().manual_seed(dilate)) > 0.999).float()
    mask = latent_mask(matte, dilate)
    for latent, frames in enumerate([matte[:1], matte[1:]]):
        near = torch.zeros(SIZE, dtype=torch.bool)
        for _, row, column, _ in torch.nonzero(frames).tolist():
            near[max(row - dilate, 0) : row + dilate + 1, max(column - dilate, 0) : column + dilate + 1] = True
        assert torch.equal(mask[0, latent, 0], near.reshape(6, 8, 8, 8).any(3).any(1))
    assert mask.any() and not mask.all()


@pytest.mark.parametrize("transfer", [PATCH, DETAIL, PLATE_DETAIL])
def test_the_foreground_is_taken_and_what_surrounds_it(transfer: Transfer) -> None:
    given, frames = pictures(), decoded()
    made = to_pictures(Transfers(given, 0)(transfer, frames))
    inside = given.matte[..., 0] == 1
    around = given.background if transfer.background else to_pictures(frames)
    torch.testing.assert_close(made[~inside], around[~inside])
    if transfer is PATCH:
        torch.testing.assert_close(made[inside], given.harmonised[inside])
    else:
        source = given.plate if transfer is PLATE_DETAIL else given.harmonised
        correlation = torch.corrcoef(torch.stack([made[inside].flatten(), source[inside].flatten()]))[0, 1]
        assert correlation > 0.8


def test_frames_and_pictures_are_the_same_values() -> None:
    torch.testing.assert_close(to_frames(to_pictures(decoded())), decoded())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("transfer", [PATCH, DETAIL])
def test_a_latent_away_from_the_foreground_comes_back_bit_for_bit(dtype: torch.dtype, transfer: Transfer) -> None:
    codec = VideoCodec(tiny_codec().to(dtype if dtype == torch.bfloat16 else torch.float32))
    edit, draw = Transfers(pictures(), 4), torch.Generator().manual_seed(2)
    latent = torch.randn((1, 3, 4, 6, 8), generator=draw).to(dtype)
    with torch.no_grad():
        found = project(latent, lambda frames: edit(transfer, frames.float()).to(dtype), codec, edit.edited(transfer))
        plain = project(latent, lambda frames: frames, codec, Untouched().edited(transfer))
    edited = edit.edited(transfer).expand_as(latent)
    assert 0 < edited.sum() < edited.numel() / 2
    assert torch.equal(found[~edited], latent[~edited]) and not torch.equal(found[edited], latent[edited])
    assert torch.equal(plain, latent)


def test_a_box_holds_every_frames_foreground() -> None:
    matte = torch.zeros((9, 96, 128, 1))
    assert foreground_box(matte, 8) is None
    matte[0, 40, 50] = 0.5
    matte[8, 44, 70] = 0.5
    assert foreground_box(matte, 0) == Box(32, 48, 48, 80)
    assert foreground_box(matte, 8) == Box(32, 64, 32, 80)
    assert foreground_box(matte, 500) == Box(0, 96, 0, 128)


def test_a_box_of_everything_changes_nothing() -> None:
    codec, given = VideoCodec(tiny_codec()), pictures()
    latent = torch.randn((1, 3, 4, 6, 8), generator=torch.Generator().manual_seed(3))

    def run(box: Box | None) -> torch.Tensor:
        edit = BoxedTransfers(given, 4, box, latent) if box else Transfers(given, 4)
        with torch.no_grad():
            over = BoxedCodec(codec, box, latent) if box else codec
            return project(latent, lambda frames: edit(PATCH, frames), over, edit.edited(PATCH))

    assert torch.equal(run(Box(0, *SIZE[:1], 0, SIZE[1])), run(None))
    part = run(Box(0, 32, 16, 64))
    assert torch.equal(part[..., 4:, :], latent[..., 4:, :]) and torch.equal(part[..., :2], latent[..., :2])
    assert not torch.equal(part, latent)
