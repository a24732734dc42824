"""Places to render subjects in: some built by hand, as many as wanted drawn by chance.

Needs Blender as a Python module (bpy 5.0). Everything is made of spheres, boxes and cylinders around a subject that
stands at the origin and is looked at from the negative y axis.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import bpy as blender

bpy: Any = blender  # its types say that anything may be None

Colour = tuple[float, float, float]
Point = tuple[float, float, float]
Surface = Any
Thing = Any


def material(
    colour: Colour, rough: float = 0.8, metal: float = 0.0, glow: float = 0.0, grain: float = 0.0, scale: float = 6.0
) -> Surface:
    """A surface; ``grain`` mixes the colour with a darker one in a noise, ``glow`` makes it a lamp."""
    made = bpy.data.materials.new("m")
    made.use_nodes = True
    nodes, links = made.node_tree.nodes, made.node_tree.links
    shader = nodes["Principled BSDF"]
    shader.inputs["Roughness"].default_value = rough
    shader.inputs["Metallic"].default_value = metal
    shader.inputs["Base Color"].default_value = (*colour, 1)
    if glow:
        shader.inputs["Emission Color"].default_value = (*colour, 1)
        shader.inputs["Emission Strength"].default_value = glow
    if grain:
        noise, mix = nodes.new("ShaderNodeTexNoise"), nodes.new("ShaderNodeMix")
        noise.inputs["Scale"].default_value = scale
        mix.data_type = "RGBA"
        mix.inputs[6].default_value = (*colour, 1)
        mix.inputs[7].default_value = (*(c * (1 - grain) for c in colour), 1)
        links.new(noise.outputs["Fac"], mix.inputs[0])
        links.new(mix.outputs[2], shader.inputs["Base Color"])
    return made


def striped(first: Colour, second: Colour, scale: float) -> Surface:
    made = material(first)
    nodes, links = made.node_tree.nodes, made.node_tree.links
    checker, place = nodes.new("ShaderNodeTexChecker"), nodes.new("ShaderNodeTexCoord")
    checker.inputs["Scale"].default_value = scale
    checker.inputs["Color1"].default_value, checker.inputs["Color2"].default_value = (*first, 1), (*second, 1)
    links.new(place.outputs["Generated"], checker.inputs["Vector"])
    links.new(checker.outputs["Color"], nodes["Principled BSDF"].inputs["Base Color"])
    return made


def ball(at: Point, size: Point | float, surface: Surface) -> Thing:
    bpy.ops.mesh.primitive_uv_sphere_add(segments=40, ring_count=24, location=at)
    return _finished(size, surface, smooth=True)


def block(at: Point, size: Point | float, surface: Surface, turn: Point = (0, 0, 0)) -> Thing:
    bpy.ops.mesh.primitive_cube_add(size=2, location=at, rotation=turn)
    return _finished(size, surface)


def pole(at: Point, size: Point, surface: Surface, turn: Point = (0, 0, 0)) -> Thing:
    bpy.ops.mesh.primitive_cylinder_add(vertices=32, location=at, rotation=turn)
    return _finished(size, surface, smooth=True)


def _finished(size: Point | float, surface: Surface, smooth: bool = False) -> Thing:
    made = bpy.context.object
    made.scale = size if isinstance(size, tuple) else (size, size, size)
    made.data.materials.append(surface)
    if smooth:
        bpy.ops.object.shade_smooth()
    return made


def lamp(at: Point, towards: Point, size: float, power: float, colour: Colour = (1, 1, 1)) -> None:
    """A square of light that the camera does not see."""
    bpy.ops.object.light_add(type="AREA", location=at)
    made = bpy.context.object
    made.data.size, made.data.energy, made.data.color = size, power, colour
    made.rotation_euler = aim(at, towards)
    made.visible_camera = False


def sun(elevation: float, azimuth: float, power: float, colour: Colour = (1, 1, 1), soft: float = 1.0) -> None:
    """``azimuth`` in degrees: 0 shines from behind the camera, 90 from the right, 180 from behind the subject."""
    bpy.ops.object.light_add(type="SUN")
    made = bpy.context.object
    made.data.energy, made.data.color, made.data.angle = power, colour, math.radians(soft)
    made.rotation_euler = (math.radians(90 - elevation), 0, math.radians(azimuth))


def aim(at: Point, towards: Point) -> tuple[float, float, float]:
    x, y, z = (b - a for a, b in zip(at, towards, strict=True))
    return (math.atan2(math.hypot(x, y), -z), 0, math.atan2(y, x) - math.pi / 2)


def sky(horizon: Colour, zenith: Colour, strength: float) -> None:
    """Light from all around, from one colour at the horizon to another above; the ground's half is dark."""
    world = bpy.data.worlds.new("w")
    bpy.context.scene.world = world
    world.use_nodes = True
    nodes, links = world.node_tree.nodes, world.node_tree.links
    place, part, ramp = (nodes.new(f"ShaderNode{kind}") for kind in ("TexCoord", "SeparateXYZ", "ValToRGB"))
    ramp.color_ramp.elements[0].color, ramp.color_ramp.elements[1].color = (*horizon, 1), (*zenith, 1)
    ramp.color_ramp.elements[1].position = 0.7
    links.new(place.outputs["Generated"], part.inputs[0])
    links.new(part.outputs["Z"], ramp.inputs[0])
    links.new(ramp.outputs["Color"], nodes["Background"].inputs["Color"])
    nodes["Background"].inputs["Strength"].default_value = strength


def ground(surface: Surface) -> None:
    block((0, 0, -1), (60, 60, 1), surface)


def room(wall: Surface, floor: Surface, ceiling: Colour = (0.7, 0.7, 0.7)) -> None:
    ground(floor)
    block((0, 4.2, 2), (9, 0.2, 2.4), wall)
    block((5.2, 0, 2), (0.2, 9, 2.4), wall)
    block((0, -7, 2), (9, 0.2, 2.4), wall)
    block((0, 0, 4.6), (9, 9, 0.2), material(ceiling))


def tree(x: float, y: float, leaf: Colour) -> None:
    pole((x, y, 1), (0.15, 0.15, 1), material((0.15, 0.09, 0.05)))
    for _ in range(4):
        at = (x + random.uniform(-0.6, 0.6), y + random.uniform(-0.5, 0.5), 2.3 + random.uniform(-0.3, 0.8))
        ball(at, random.uniform(0.6, 0.9), material(leaf, grain=0.8, scale=9))


def studio() -> None:
    sky((0.05, 0.05, 0.05), (0.05, 0.05, 0.05), 1)
    wall = material((0.5, 0.5, 0.5))
    ground(wall)
    block((0, 4, 3), (20, 0.2, 6), wall)
    lamp((-3, -3.5, 3.5), (0, 0, 1.2), 1.6, 350)
    lamp((3.5, -3, 2), (0, 0, 1.2), 2.5, 90)


def overcast() -> None:
    sky((0.75, 0.8, 0.85), (0.85, 0.9, 1.0), 1)
    ground(material((0.10, 0.2, 0.05), grain=0.4))
    for x, y in ((-4, 5), (-1.5, 7), (2, 6), (4.5, 5)):
        tree(x, y, (0.06, 0.15, 0.03))
    for x in range(-6, 7):
        block((x, 3, 0.5), (0.08, 0.03, 0.5), material((0.6, 0.6, 0.58)))


def noon() -> None:
    sky((0.5, 0.65, 0.9), (0.15, 0.3, 0.8), 0.8)
    sun(55, 50, 4, (1, 0.96, 0.88))
    ground(striped((0.45, 0.4, 0.35), (0.32, 0.28, 0.25), 30))
    block((0, 6, 2), (12, 0.5, 2), material((0.4, 0.14, 0.08), grain=0.5))
    for x in (-3.5, 0.5, 4):
        pole((x, 5, 1.5), (0.3, 0.3, 1.5), material((0.6, 0.58, 0.55)))
    ball((-1.8, 4.5, 0.8), 0.7, material((0.05, 0.2, 0.03), grain=0.7, scale=12))


def sunset() -> None:
    sky((0.9, 0.35, 0.12), (0.2, 0.15, 0.25), 0.5)
    sun(9, 155, 3, (1, 0.5, 0.2), 2)
    ground(material((0.4, 0.3, 0.2), grain=0.5))
    for x in (-4, 3.5, 5):
        tree(x, 6, (0.08, 0.1, 0.03))
    block((0, 25, 1), (20, 1, 1.6), material((0.1, 0.06, 0.08)))


def neon() -> None:
    sky((0.01, 0.01, 0.03), (0.01, 0.01, 0.02), 1)
    ground(material((0.05, 0.05, 0.06), rough=0.25))
    dark = material((0.06, 0.06, 0.08), grain=0.4)
    block((-4.2, 3, 3), (0.5, 8, 3), dark)
    block((4.2, 3, 3), (0.5, 8, 3), dark)
    block((0, 10, 3), (6, 0.5, 3), dark)
    block((-3.6, 1.5, 1.8), (0.05, 1.4, 0.7), material((1, 0.05, 0.5), glow=7))
    block((3.6, 1.0, 1.7), (0.05, 1.1, 0.8), material((0.05, 0.6, 1), glow=7))
    for x in (-2, -0.5, 1.2, 2.4):
        block((x, 9.3, 2 + x * 0.3), (0.4, 0.05, 0.25), material((1, 0.7, 0.3), glow=6))
    lamp((0.5, -3, 4), (0, 0, 1), 2, 25, (1, 0.8, 0.6))


def window() -> None:
    sky((0.1, 0.1, 0.12), (0.1, 0.1, 0.12), 1)
    room(material((0.32, 0.42, 0.42), grain=0.2), striped((0.3, 0.17, 0.09), (0.25, 0.14, 0.07), 40))
    block((-2.1, 3.9, 1.9), (0.8, 0.05, 1.0), material((0.85, 0.93, 1), glow=7))
    lamp((-3.5, -1, 2), (0, -0.3, 1.1), 2, 130, (0.85, 0.93, 1))
    block((1.8, 3.6, 0.5), (1.1, 0.5, 0.5), material((0.12, 0.3, 0.5)))
    block((0.6, 3.95, 2), (0.5, 0.04, 0.35), material((0.7, 0.6, 0.4), grain=0.7))


def lamps() -> None:
    sky((0.01, 0.01, 0.01), (0.01, 0.01, 0.01), 1)
    room(material((0.42, 0.3, 0.2), grain=0.3), material((0.2, 0.1, 0.05)), (0.5, 0.45, 0.4))
    ball((2.3, 2.6, 1.5), 0.28, material((1, 0.62, 0.28), glow=30))
    lamp((2.8, -1.2, 2.2), (0, 0, 1), 0.8, 110, (1, 0.62, 0.3))
    lamp((-2, -3, 3.8), (0, 0, 1), 1.5, 40, (1, 0.7, 0.4))
    block((-2, 3.6, 1.2), (0.8, 0.4, 1.2), material((0.2, 0.09, 0.04), grain=0.5))
    for x in range(6):
        block((-2.6 + x * 0.25, 3.15, 1.6), (0.08, 0.05, 0.25), material((random.random() * 0.5, 0.1, 0.3)))


def wall() -> None:
    """A yellow wall in neutral light: the wall's colour is no light's."""
    sky((0.3, 0.3, 0.3), (0.3, 0.3, 0.3), 1)
    ground(material((0.35, 0.35, 0.36)))
    block((0, 3.5, 3), (20, 0.2, 6), material((0.75, 0.5, 0.04), grain=0.15))
    lamp((2.5, -4, 4), (0, 0.5, 1.2), 2.5, 420)


def leaves() -> None:
    """A green wood by day: leaves all around, and white sky through them."""
    sky((0.6, 0.75, 0.7), (0.8, 0.9, 1), 0.9)
    ground(material((0.09, 0.11, 0.03), grain=0.6))
    for x in range(-6, 7, 2):
        for y in (3.5, 6):
            tree(x + random.uniform(-0.5, 0.5), y, (0.07, 0.22, 0.02))
    sun(60, -60, 1.5, (1, 0.95, 0.8), 10)


def office() -> None:
    sky((0.02, 0.02, 0.02), (0.02, 0.02, 0.02), 1)
    room(material((0.6, 0.6, 0.57)), material((0.25, 0.27, 0.3), grain=0.3), (0.8, 0.8, 0.8))
    for x, y in ((-2, 2.5), (2, 2.5), (-2, -1.5), (2, -1.5)):
        block((x, y, 4.38), (0.8, 0.3, 0.02), material((0.92, 1, 0.86), glow=14))
    block((0, 3.95, 1.9), (1.5, 0.05, 0.7), material((0.04, 0.09, 0.06)))
    for side in (-2.6, 2.7):
        block((side, 3, 0.4), (0.7, 0.4, 0.4), material((0.5, 0.35, 0.2)))


def moon() -> None:
    sky((0.02, 0.035, 0.07), (0.005, 0.01, 0.03), 1)
    sun(35, 215, 0.35, (0.6, 0.75, 1))
    ground(material((0.2, 0.2, 0.2), grain=0.5))
    for x in (-4, -2.6, 3, 4.6):
        tree(x, 6, (0.05, 0.09, 0.05))
    block((2.0, 7, 1), (1.2, 1, 1), material((0.3, 0.3, 0.32)))
    block((2.0, 5.95, 1.1), (0.3, 0.03, 0.3), material((1, 0.6, 0.2), glow=2))


def low_key() -> None:
    """A dark studio: only the subject is lit, and nothing behind tells so."""
    sky((0.004, 0.004, 0.004), (0.004, 0.004, 0.004), 1)
    dark = material((0.05, 0.05, 0.05))
    ground(dark)
    block((0, 5, 3), (20, 0.2, 6), dark)
    lamp((-2.8, -3, 3), (0, 0, 1.2), 1.4, 260)
    lamp((3, -3.5, 2), (0, 0, 1.2), 2.5, 60)


def white_cove() -> None:
    sky((0.5, 0.5, 0.5), (0.6, 0.6, 0.6), 0.5)
    white = material((0.85, 0.85, 0.85))
    ground(white)
    block((0, 4, 3), (20, 0.2, 6), white)
    lamp((-3.5, 1.5, 4), (0, 4, 1.5), 1.5, 160)
    lamp((2.5, -3.5, 3), (0, 0, 1.2), 2, 170)


def beach() -> None:
    sky((0.7, 0.8, 0.95), (0.2, 0.4, 0.85), 0.7)
    sun(50, 35, 3, (1, 0.96, 0.9), 1)
    ground(material((0.5, 0.41, 0.28), grain=0.25))
    block((0, 32, 0.02), (60, 22, 0.03), material((0.03, 0.12, 0.2), 0.2))
    for x in (-3.2, 2.8):
        pole((x, 4.5, 0.9), (0.05, 0.05, 0.9), material((0.5, 0.35, 0.2)))
        ball((x, 4.5, 1.9), (0.9, 0.9, 0.25), material((0.7, 0.12 + 0.1 * (x > 0), 0.1)))


def snow() -> None:
    sky((0.7, 0.75, 0.8), (0.6, 0.65, 0.72), 0.75)
    ground(material((0.75, 0.77, 0.8), grain=0.1))
    for x in (-5, -2.5, 1.5, 4):
        tree(x, 6.5, (0.03, 0.07, 0.03))


def evening_park() -> None:
    """The sun is low behind the trees, and what faces the camera is in the sky's light."""
    sky((0.85, 0.5, 0.25), (0.25, 0.3, 0.45), 0.4)
    sun(12, 165, 3.5, (1, 0.62, 0.3), 1)
    ground(material((0.09, 0.15, 0.04), grain=0.5))
    for x in (-5, -3, 2.5, 4.5):
        tree(x, 5.5, (0.05, 0.12, 0.03))


def street() -> None:
    sky((0.7, 0.74, 0.8), (0.75, 0.8, 0.88), 0.6)
    ground(material((0.14, 0.14, 0.145), grain=0.3))
    block((-4.5, 5, 3), (0.5, 9, 3), material((0.35, 0.14, 0.09), grain=0.4))
    block((4.5, 5, 3), (0.5, 9, 3), material((0.45, 0.42, 0.36), grain=0.3))
    for x, colour in ((-2.4, (0.4, 0.03, 0.03)), (2.6, (0.05, 0.1, 0.3))):
        block((x, 5, 0.6), (0.7, 1.4, 0.35), material(colour, 0.2))
        block((x, 5.2, 1.1), (0.6, 0.8, 0.25), material((0.03, 0.03, 0.04), 0.1))


def bright_room() -> None:
    """Daylight through a large window on the left, white walls and a wooden floor."""
    sky((0.1, 0.1, 0.1), (0.1, 0.1, 0.1), 1)
    room(material((0.65, 0.63, 0.58), grain=0.05), striped((0.35, 0.2, 0.1), (0.3, 0.17, 0.09), 40), (0.8, 0.8, 0.8))
    block((-3.2, 3.95, 2.0), (1.3, 0.04, 1.2), material((0.9, 0.95, 1), glow=4))
    lamp((-4.5, 0, 2), (0, 0, 1.1), 2.6, 260, (0.9, 0.95, 1))
    block((1.8, 3.4, 0.45), (1.2, 0.5, 0.45), material((0.25, 0.27, 0.2), grain=0.3))


def sodium() -> None:
    sky((0.012, 0.012, 0.02), (0.006, 0.006, 0.012), 1)
    ground(material((0.1, 0.1, 0.1), 0.5, grain=0.3))
    block((0, 12, 2.5), (12, 0.5, 2.5), material((0.25, 0.2, 0.16), grain=0.4))
    for x, y in ((-3, 4), (3, 7)):
        pole((x, y, 1.8), (0.06, 0.06, 1.8), material((0.1, 0.1, 0.1)))
        ball((x, y, 3.6), 0.16, material((1, 0.55, 0.15), glow=40))
    lamp((1.5, -2.5, 5), (0, 0.5, 0.8), 0.6, 150, (1, 0.55, 0.17))


def desert() -> None:
    """A low sun from the left: one side is lit, the other in blue shade."""
    sky((0.7, 0.55, 0.45), (0.2, 0.32, 0.6), 0.45)
    sun(14, -70, 3, (1, 0.7, 0.4), 1)
    ground(material((0.42, 0.25, 0.13), grain=0.4))
    for x, y, size in ((-3.5, 6, 1.2), (3, 7, 1.6), (1.4, 4.5, 0.5)):
        ball((x, y, size * 0.4), (size, size, size * 0.8), material((0.4, 0.22, 0.12), grain=0.5))


def cellar() -> None:
    sky((0.01, 0.01, 0.01), (0.01, 0.01, 0.01), 1)
    room(material((0.28, 0.12, 0.08), grain=0.5), material((0.2, 0.19, 0.18), grain=0.4), (0.3, 0.28, 0.25))
    ball((0.9, 1.6, 2.7), 0.12, material((1, 0.7, 0.4), glow=25))
    lamp((0.7, -1.2, 3.6), (0, 0, 1), 0.5, 90, (1, 0.7, 0.42))
    for x in (-2.5, -1.6, 2.4):
        pole((x, 3.2, 0.5), (0.4, 0.4, 0.5), material((0.2, 0.12, 0.06), grain=0.4))


def _kelvin(kelvin: float) -> Colour:
    """About the colour of a glowing body, of luminance near 1."""
    warm = (6500 - kelvin) / 6500
    return (1 + 0.9 * max(warm, -0.3), 1.0 - 0.25 * max(warm, 0), max(1 - 1.45 * warm, 0.08))


def _paint() -> Colour:
    """A surface as surfaces are: mostly dull."""
    level, hue, rich = random.betavariate(2, 3) * 0.8 + 0.03, random.random(), random.betavariate(1.2, 2.5)
    return tuple(
        level * (1 - rich + rich * max(0.0, min(1.0, abs((hue * 6 + shift) % 6 - 3) - 1))) for shift in (0, 4, 2)
    )  # type: ignore[return-value]


def drawn(seed: int) -> Callable[[], None]:
    """A place drawn at random: by day or at dusk outdoors, in a room, or at night among lamps."""

    def place() -> None:
        random.seed(seed)
        (_outdoors, _indoors, _night, _outdoors, _indoors)[seed % 5]()
        random.seed(7)

    return place


def _outdoors() -> None:
    clear, low = random.random() < 0.6, random.random() < 0.4
    zenith = (0.25, 0.4, 0.8) if clear else (0.8, 0.85, 0.95)
    horizon = (0.95, 0.5, 0.25) if low and clear else (0.75, 0.8, 0.9)
    sky(horizon, zenith, random.uniform(0.3, 1.0))
    if clear:
        height = random.uniform(5, 15) if low else random.uniform(25, 65)
        colour = _kelvin(random.uniform(2300, 3500) if low else random.uniform(4800, 5800))
        sun(height, random.uniform(-180, 180), random.uniform(1.5, 4.5), colour, 2)
    ground(material(_paint(), grain=random.uniform(0, 0.7)))
    if random.random() < 0.5:
        leaf = (random.uniform(0.04, 0.12), random.uniform(0.1, 0.25), random.uniform(0.02, 0.06))
        for x in range(-5, 6, 2):
            if random.random() < 0.7:
                tree(x + random.uniform(-0.8, 0.8), random.uniform(3.5, 8), leaf)
    if random.random() < 0.6:
        block(
            (random.uniform(-4, 4), random.uniform(5, 9), 1.5),
            (random.uniform(2, 9), 0.4, random.uniform(0.8, 3)),
            material(_paint(), grain=0.4),
        )
    _things(3)


def _indoors() -> None:
    sky((0.02, 0.02, 0.02), (0.02, 0.02, 0.02), 1)
    room(material(_paint(), grain=random.uniform(0, 0.4)), material(_paint(), grain=0.3), _paint())
    kelvin = random.choice((2600, 2900, 4000, 5500, 6500, 7500))
    for _ in range(random.choice((1, 1, 2, 3))):
        at = (random.uniform(-4, 4), random.uniform(-4, 1.5), random.uniform(1.5, 4))
        lamp(at, (0, 0, 1.2), random.uniform(0.5, 2.5), random.uniform(60, 300), _kelvin(kelvin))
    if random.random() < 0.5:
        x = random.uniform(1.2, 2.5) * random.choice((-1, 1))
        block((x, 3.9, 1.9), (0.6, 0.05, 0.9), material(_kelvin(7000), glow=random.uniform(3, 12)))
    if random.random() < 0.5:
        ball((random.uniform(-2.3, 2.3), 3.2, random.uniform(1, 2.4)), 0.2, material(_kelvin(kelvin), glow=20))
    _things(4)


def _night() -> None:
    sky((0.01, 0.012, 0.025), (0.005, 0.006, 0.02), random.uniform(0.5, 3))
    ground(material(_paint(), random.uniform(0.2, 0.8)))
    block((0, 9, 3), (8, 0.5, 3), material(_paint(), grain=0.5))
    block((-4.2, 3, 3), (0.4, 7, 3), material(_paint(), grain=0.5))
    for _ in range(random.choice((2, 4, 7))):
        colour = _paint() if random.random() < 0.6 else _kelvin(2600)
        most = max(colour)
        lit = tuple(c / most for c in colour)
        at = (random.uniform(-3.5, 3.5), random.uniform(1.5, 8), random.uniform(0.8, 3))
        block(at, (random.uniform(0.1, 0.8), 0.05, random.uniform(0.1, 0.6)), material(lit, glow=random.uniform(3, 12)))  # type: ignore[arg-type]
    at = (random.uniform(-4, 4), random.uniform(-4, -1), random.uniform(2, 4))
    lamp(at, (0, 0, 1.2), 1.2, random.uniform(10, 90), _kelvin(random.choice((2400, 3000, 5000))))
    _things(2)


def _things(count: int) -> None:
    for _ in range(random.randint(0, count)):
        at = (random.uniform(-3, 3), random.uniform(2, 3.6), random.uniform(0.3, 0.8))
        make = random.choice((ball, block))
        make(
            at,
            (random.uniform(0.2, 0.8), random.uniform(0.2, 0.5), random.uniform(0.3, 0.8)),
            material(_paint(), grain=0.4),
        )


PLACES: dict[str, Callable[[], None]] = {
    place.__name__: place
    for place in (
        *(studio, overcast, noon, sunset, neon, window, lamps, wall, leaves, office, moon),
        *(low_key, white_cove, beach, snow, evening_park, street, bright_room, sodium, desert, cellar),
    )
}
