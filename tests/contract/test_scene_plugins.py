"""Every scene plug-in of the draft preset keeps its role's contract."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from anyportal_core.plugins.draft.scene.specs import SCENE
from anyportal_core.registry import PluginSpec
from anyportal_core.testing.scene_contract import CHECKS, SceneCase

CASES = [(spec, check) for spec in SCENE for check in CHECKS[spec.role]]


@pytest.mark.parametrize(("spec", "check"), CASES, ids=[f"{spec.name}-{check.__name__}" for spec, check in CASES])
def test_contract(spec: PluginSpec, check: Callable[[SceneCase], None]) -> None:
    check(SceneCase(spec))


def test_the_road_needs_one_plugin_for_each_of_these_roles() -> None:
    assert {spec.role for spec in SCENE} == set(CHECKS)
