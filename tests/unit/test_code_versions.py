"""Whatever decides a stored stage result carries a version; this fails where the code changed and the version did not.

A result that was stored by other code must not be taken for this code's. So after a change: raise the version that the
test names, unless no result can differ (a name, a message), then record what stands there now:

    python tests/unit/test_code_versions.py
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from anyportal_core.catalogue import load_catalogue
from anyportal_core.stages import cuts, material
from anyportal_core.stages.stage import STAGES

ROOT = Path(__file__).parents[2]
RECORD = Path(__file__).with_name("code_versions.json")
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
PLUGIN_PARTS = (
    "anyportal_core.plugins",
    "anyportal_core.method",
    "anyportal_core.ops",
    "anyportal_core.windows",
    "anyportal_core.sizes",
)
SHARED_PARTS = ("anyportal_core.windows", "anyportal_core.overlaps")
CUTS_PARTS = ("anyportal_core.stages.cuts", "anyportal_core.method.cuts", "anyportal_core.ops")
READING_PARTS = (
    "anyportal_core.media",
    "anyportal_core.stages.material",
    "anyportal_core.frames",
    "anyportal_core.sizes",
)


def versions() -> dict[str, str]:
    """``name`` to ``version digest`` of everything that has a version."""
    found = {"reading": (str(material.CODE_VERSION), "anyportal_core.stages.material", READING_PARTS)}
    found["cuts"] = (str(cuts.CODE_VERSION), "anyportal_core.stages.cuts", CUTS_PARTS)
    for stage in STAGES:
        module = stage.run.__module__
        found[f"stage {stage.name}"] = (str(stage.code_version), module, (module, *SHARED_PARTS))
    for spec in load_catalogue().plugins.values():
        if spec.factory.startswith("anyportal_core."):
            found[f"plug-in {spec.name}"] = (spec.version, spec.factory.partition(":")[0], PLUGIN_PARTS)
    return {name: f"{version} {digest(start, parts)}" for name, (version, start, parts) in sorted(found.items())}


def digest(start: str, parts: tuple[str, ...]) -> str:
    """Over the code of a module and of all that it imports from some parts; comments and docstrings do not count."""
    seen: dict[str, str] = {}
    waiting = [start]
    while waiting:
        module = waiting.pop()
        tree = ast.parse(file_of(module).read_text("utf-8"))
        seen[module] = code(tree)
        waiting += {name for name in imported(tree) if name not in seen and belongs(name, parts)} - set(waiting)
    text = "".join(f"{module}\n{seen[module]}\n" for module in sorted(seen))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_of(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imported(tree: ast.Module) -> Iterator[str]:
    """Modules of the core that a module imports, at its top or inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name for name in [node.module, *inner] if file_of(name).is_file())
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if file_of(alias.name).is_file())


def belongs(module: str, parts: tuple[str, ...]) -> bool:
    return module.startswith(parts) and not module.endswith((".specs", ".models"))


def code(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [line for line in body if not is_text(line)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def is_text(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)


@pytest.mark.skipif(json.loads(RECORD.read_text())["python"] != PYTHON, reason="recorded with another Python")
def test_code_that_changed_has_another_version() -> None:
    recorded, now = json.loads(RECORD.read_text())["versions"], versions()
    changed = [name for name in now if recorded.get(name) != now[name]]
    kept = [name for name in changed if recorded.get(name, "").split()[:1] == now[name].split()[:1]]
    assert not kept, f"the code changed, the version did not: {', '.join(kept)}; {__doc__}"
    assert not changed and recorded.keys() == now.keys(), f"not recorded yet: {', '.join(changed)}; {__doc__}"


def test_a_change_is_noticed_and_a_comment_is_none() -> None:
    one, other = "def f(x):\n    return x + 1", "def f(x):\n    return x + 2"
    same = "# why\ndef f(x):\n    'what'\n    return x + 1"
    assert code(ast.parse(one)) == code(ast.parse(same)) != code(ast.parse(other))
    assert "anyportal_core.method.matting" in imported(ast.parse(file_of("anyportal_core.stages.finish").read_text()))


if __name__ == "__main__":
    RECORD.write_text(json.dumps({"python": PYTHON, "versions": versions()}, indent=1) + "\n", "utf-8")
