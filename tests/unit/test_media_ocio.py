"""OpenColorIO configurations: built-in ones, files, archives and damaged ones; what their names are taken for."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import PyOpenColorIO as ocio
import pytest

from anyportal_core.errors import MediaNotFoundError, MediaUnreadableError, ShotError, UnknownNameError
from anyportal_core.media.encoding import (
    LINEAR,
    SRGB,
    Encoding,
    Space,
    chromaticities,
    convert,
    from_display,
    from_linear,
    light_of,
    named,
    output_encoding,
    require_colours,
    to_display,
    to_linear,
)

FILE = Encoding("bt709", "bt709", "bt601", full_range=False, bits=10)
AP1 = (0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767)
AWG3 = (0.684, 0.313, 0.221, 0.848, 0.0861, -0.102, 0.3127, 0.329)

# As Nuke's own and many a studio's: no interchange roles, curves as tables.
OLD = """ocio_profile_version: 1
search_path: luts
roles: {ROLES}
displays:
  default:
    - !<View> {name: None, colorspace: linear}
colorspaces:
  - !<ColorSpace> {name: linear}
  - !<ColorSpace> {name: data, isdata: true}
  - !<ColorSpace>
    name: SRGB_NAME
    to_reference: !<FileTransform> {src: srgb.spi1d, interpolation: linear}
  - !<ColorSpace>
    name: House Log
    to_reference: !<FileTransform> {src: house.spi1d, interpolation: linear}
  - !<ColorSpace>
    name: Lost
    to_reference: !<FileTransform> {src: lost.spi1d, interpolation: linear}
  - !<ColorSpace>
    name: Broken
    to_reference: !<FileTransform> {src: broken.cube, interpolation: linear}
"""


def table(path: Path, light: np.ndarray) -> None:
    lines = "\n".join(f"{value:.9f}" for value in light)
    path.write_text(f"Version 1\nFrom 0 1\nLength {len(light)}\nComponents 1\n{{\n{lines}\n}}\n")


def old_config(folder: Path, roles: str = "scene_linear: linear", srgb: str = "sRGB", power: float = 3.0) -> str:
    luts = folder / "luts"
    luts.mkdir(parents=True, exist_ok=True)
    codes = np.linspace(0, 1, 4096)
    table(luts / "srgb.spi1d", np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4))
    table(luts / "house.spi1d", 0.1 * codes + 0.9 * codes**power)
    (luts / "broken.cube").write_text("root:x:secret\n")
    path = folder / "config.ocio"
    path.write_text(OLD.replace("ROLES", roles).replace("SRGB_NAME", srgb))
    return str(path)


@pytest.mark.parametrize(
    ("name", "curve", "primaries"),
    [
        ("ACEScg", "linear", "ap1"),
        ("lin_ap1", "linear", "ap1"),
        ("ACES - ACEScg", "linear", "ap1"),
        ("scene_linear", "linear", "ap1"),
        ("ACES2065-1", "linear", "ap0"),
        ("acescg", "linear", "ap1"),
        ("linear", "linear", "bt709"),
        ("Linear Rec.709 (sRGB)", "linear", "bt709"),
        ("Utility - Linear - sRGB", "linear", "bt709"),
        ("Linear Rec.2020", "linear", "bt2020"),
        ("sRGB", "srgb", "bt709"),
        ("Utility - sRGB - Texture", "srgb", "bt709"),
        ("srgb_tx", "srgb", "bt709"),
        ("sRGB - Display", "srgb", "bt709"),
        ("rec709", "bt709", "bt709"),
        ("Camera Rec.709", "bt709", "bt709"),
        ("Rec.709 (Scene)", "bt709", "bt709"),
        ("Rec.1886 Rec.709 - Display", "gamma24", "bt709"),
        ("Rec.709 Gamma 2.4", "gamma24", "bt709"),
        ("P3-D65 - Display", "gamma26", "p3"),
        ("Cineon", "cineon", "bt709"),
        ("PQ Rec.2020", "pq", "bt2020"),
        ("HLG Rec.2020", "hlg", "bt2020"),
    ],
)
def test_what_is_a_standards_is_told_as_that(name: str, curve: str, primaries: str) -> None:
    assert named(name, FILE) == Encoding(curve, primaries, "bt601", full_range=False, bits=10)


@pytest.mark.parametrize(
    ("name", "space"),
    [
        ("Input - ARRI - V3 LogC (EI800) - Wide Gamut", "ARRI LogC3 (EI800)"),
        ("AlexaV3LogC", "ARRI LogC3 (EI800)"),
        ("ARRI LogC3", "ARRI LogC3 (EI800)"),
        ("arri logc4", "ARRI LogC4"),
        ("VLog", "V-Log V-Gamut"),
        ("Input - RED - REDLog3G10 - REDWideGamutRGB", "Log3G10 REDWideGamutRGB"),
        ("S-Gamut3.Cine/S-Log3", "S-Log3 S-Gamut3.Cine"),
        ("DaVinci WG/Intermediate", "DaVinci Intermediate WideGamut"),
        ("compositing_log", "ACEScct"),
    ],
)
def test_hosts_names_and_aliases(name: str, space: str) -> None:
    found = named(name, FILE).transfer
    assert isinstance(found, Space) and found.name == space


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        ("SLog3", "S-Log3 S-Gamut3 or S-Log3 S-Gamut3.Cine"),  # which of the two it does not say
        ("logc", "ARRI LogC4"),
        ("ACES cgg", "ACEScg"),
        ("ARRI LogC3 EI80", "ARRI LogC3"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(name: str, offered: str) -> None:
    with pytest.raises(UnknownNameError) as told:
        named(name, FILE, where="delivery.colour_space")
    assert offered in told.value.hint and told.value.where == "delivery.colour_space"


def test_a_name_like_none_lists_all() -> None:
    with pytest.raises(UnknownNameError, match=r"known: .*ACEScg.*Raw"):
        named("?!", FILE)


def test_spaces_that_are_not_offered_can_be_named() -> None:
    xyz = named("CIE XYZ-D65 - Scene-referred", FILE)
    white = convert(np.ones((1, 1, 3), np.float32), LINEAR, xyz)
    np.testing.assert_allclose(white, [[[0.95046, 1.0, 1.08906]]], atol=2e-4)
    assert chromaticities(xyz.primaries)[:4] == (1, 0, 0, 1)
    with pytest.raises(UnknownNameError) as told:
        named("CIE XYZ-D65 - Scene-refered", FILE)
    assert "CIE" not in told.value.hint


def test_data_is_no_colour() -> None:
    """Mattes may be that, since nobody asks what light they are; pictures may not."""
    raw = named("Raw", FILE)
    pixels = np.zeros((2, 2, 3), np.float32)
    assert convert(pixels, raw, raw) is pixels
    with pytest.raises(ShotError, match=r"plate\.exr: the colour space holds data"):
        require_colours(raw, "plate.exr")
    for refused in (
        lambda: to_display(pixels, raw),
        lambda: to_linear(pixels, raw),
        lambda: convert(pixels, SRGB, raw),
    ):
        with pytest.raises(ShotError, match="holds data, no colours"):
            refused()
    with pytest.raises(ShotError, match=r"delivery\.colour_space: the colour space holds data"):
        output_encoding(FILE, "Raw")


def test_camera_gamuts_have_the_published_chromaticities_and_the_configurations_matrix() -> None:
    linear, log = named("Linear ARRI Wide Gamut 3", FILE), named("ARRI LogC3 (EI800)", FILE)
    assert linear.transfer == "linear" and chromaticities(linear.primaries) == AWG3
    assert light_of(linear) is linear and chromaticities(light_of(log).primaries) == AP1
    assert log.primaries == linear.primaries
    config = ocio.Config.CreateFromBuiltinConfig("studio-config-v4.0.0_aces-v2.0_ocio-v2.5")
    colours = np.random.default_rng(3).random((1, 100, 3), np.float32)
    for own in (linear, log):
        name = own.transfer.name if isinstance(own.transfer, Space) else "Linear ARRI Wide Gamut 3"
        expected = colours.copy()
        config.getProcessor(name, "ACEScg").getDefaultCPUProcessor().applyRGB(expected)
        np.testing.assert_allclose(convert(colours, own, named("ACEScg", FILE)), expected, rtol=2e-5, atol=2e-6)


def test_an_encoding_is_a_key_and_travels() -> None:
    one, other = named("ARRI LogC4", FILE), named("arri_logc4", FILE)
    assert one == other and hash(one) == hash(other) and {one: 1}[other] == 1
    assert pickle.loads(pickle.dumps(one)) == one


def test_built_in_configurations() -> None:
    cg = named("ACEScg", FILE, "cg-config-v1.0.0_aces-v1.3_ocio-v2.1")
    assert (
        cg
        == named("ACEScg", FILE)
        == named("ACEScg", FILE, "ocio://default")
        == named("ACEScg", FILE, "cg-config-latest")
    )
    with pytest.raises(UnknownNameError, match="no colour space 'ARRI LogC4'"):
        named("ARRI LogC4", FILE, "cg-config-v1.0.0_aces-v1.3_ocio-v2.1")
    with pytest.raises(UnknownNameError, match=r"colour_config: there is no colour configuration 'studio-config-v9'"):
        named("ACEScg", FILE, "studio-config-v9")


def test_an_older_configuration_is_understood_by_its_srgb(tmp_path: Path) -> None:
    config = old_config(tmp_path)
    assert named("linear", FILE, config) == Encoding("linear", "bt709", "bt601", False, 10)
    assert named("sRGB", FILE, config) == Encoding("srgb", "bt709", "bt601", False, 10)
    assert named("ACEScg", FILE, config).primaries == "ap1"  # a short name, which any configuration may lack
    assert named("data", FILE, config).transfer == "data"
    house = named("house log", FILE, config)
    codes = np.linspace(0.01, 0.99, 300, dtype=np.float32).reshape(10, 10, 3)
    light = to_linear(codes, house)
    np.testing.assert_allclose(light, 0.1 * codes + 0.9 * codes**3, atol=1e-6)
    np.testing.assert_allclose(from_linear(light, house), codes, atol=2e-6)


def test_a_space_is_known_by_what_it_does_not_by_where_it_lies(tmp_path: Path) -> None:
    """The daemon unpacks a configuration in a new folder for every job; its tables may change under the same name."""
    here, there = old_config(tmp_path / "one"), old_config(tmp_path / "two")
    first = named("House Log", FILE, here)
    assert first == named("House Log", FILE, there)
    old_config(tmp_path / "one", power=2.0)
    changed = named("House Log", FILE, here)
    assert changed != first and repr(changed) != repr(first)
    half = np.full((1, 1, 3), 0.5, np.float32)
    np.testing.assert_allclose(to_linear(half, changed), 0.05 + 0.9 * 0.25, atol=1e-4)
    np.testing.assert_allclose(to_linear(half, first), 0.05 + 0.9 * 0.125, atol=1e-4)


def test_archives_and_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = old_config(tmp_path / "show")
    ocio.Config.CreateFromFile(config).archive(str(tmp_path / "show.ocioz"))
    archived = named("House Log", FILE, str(tmp_path / "show.ocioz"))
    assert archived == named("House Log", FILE, config)
    monkeypatch.setenv("OCIO", str(tmp_path / "show.ocioz"))
    assert named("House Log", FILE, "$OCIO") == archived
    monkeypatch.delenv("OCIO")
    with pytest.raises(MediaNotFoundError, match="the variable OCIO is not set"):
        named("ACEScg", FILE, "$OCIO")


def test_missing_and_damaged_tables_are_named(tmp_path: Path) -> None:
    config = old_config(tmp_path)
    with pytest.raises(MediaNotFoundError, match=r"the table 'lost\.spi1d' of colour space 'Lost' is missing"):
        named("Lost", FILE, config)
    with pytest.raises(MediaUnreadableError, match=r"broken\.cube cannot be used") as told:
        named("Broken", FILE, config)
    assert "secret" not in str(told.value), "lines of any file that a configuration names"


def test_what_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(MediaNotFoundError, match="there is no such colour configuration"):
        named("ACEScg", FILE, str(tmp_path / "none.ocio"))
    for content in ("", "colorspaces: [", "ocio_profile_version: 99\n", "\x00\x01"):
        path = tmp_path / "bad.ocio"
        path.write_text(content)
        with pytest.raises(MediaUnreadableError, match=r"bad\.ocio: the colour configuration cannot be read"):
            named("ACEScg", FILE, str(path))
    (tmp_path / "bad.ocioz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(MediaUnreadableError, match="cannot be read"):
        named("ACEScg", FILE, str(tmp_path / "bad.ocioz"))


@pytest.mark.parametrize(
    ("roles", "srgb", "lacking"),
    [("compositing_log: linear", "sRGB", "scene_linear"), ("scene_linear: linear", "House Video", "aces_interchange")],
)
def test_a_configuration_that_does_not_say_its_light(tmp_path: Path, roles: str, srgb: str, lacking: str) -> None:
    config = old_config(tmp_path, roles, srgb)
    with pytest.raises(ShotError, match=f"its role {lacking} is missing") as told:
        named("House Log", FILE, config)
    assert told.value.where == config and f"give it a role {lacking}" in told.value.hint


def test_displays_of_a_configuration(tmp_path: Path) -> None:
    """PQ by the configuration's own view, where 100 cd/m2 are white; still without an end."""
    pq = named("Rec.2100-PQ - Display", FILE)
    np.testing.assert_allclose(to_linear(np.full((1, 1, 3), 0.508078, np.float32), pq), 1, atol=1e-4)
    codes = np.linspace(0.05, 0.95, 300, dtype=np.float32).reshape(10, 10, 3)
    back = from_display(to_display(codes, pq), pq)
    np.testing.assert_allclose(back, codes, atol=5e-4)


def test_parts_and_odd_shapes() -> None:
    """Pixels that do not lie together, empty ones, and more than are converted at a time."""
    log, aces = named("ARRI LogC3 (EI800)", FILE), named("ACEScg", FILE)
    image = np.random.default_rng(0).random((700, 801, 3), np.float32)
    whole = convert(image, log, aces)
    part = convert(image[50:650:2, 3::5], log, aces)
    np.testing.assert_allclose(part, whole[50:650:2, 3::5], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(to_linear(image[::-1], log)[::-1], to_linear(image, log), rtol=1e-6)
    assert convert(image[:0], log, aces).shape == (0, 801, 3)
    kept = image.copy()
    to_display(image, log), from_display(image, log), from_linear(image, log)
    np.testing.assert_array_equal(image, kept)
