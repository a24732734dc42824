"""Nothing that a user sends, and no file of theirs, is run: no pickle, no shell, no eval in what is shipped.

Bandit looks for the same in general; this knows what there is here and takes no comment for an excuse.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = ("anyportal_core", "daemon", "clients", "protos")

CALLS = {
    *(
        "eval",
        "exec",
        "compile",
        "os.system",
        "os.popen",
        "os.execl",
        "os.execv",
        "os.execve",
        "os.execvp",
    ),
    *("subprocess.getoutput", "subprocess.getstatusoutput", "pty.spawn", "runpy.run_path", "runpy.run_module"),
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.load", "marshal.loads", "shelve.open"),
    *("dill.load", "dill.loads", "cloudpickle.load", "cloudpickle.loads", "joblib.load", "jsonpickle.decode"),
    *("yaml.load", "yaml.unsafe_load", "torch.jit.load", "torch.hub.load", "tempfile.mktemp"),
}
MODULES = {"marshal", "shelve", "dill", "cloudpickle", "joblib", "jsonpickle", "telnetlib", "xmlrpc"}
SAFELY = {"torch.load": ("weights_only", True), "numpy.load": ("allow_pickle", False)}
"""Calls that take what runs code unless they are told not to, and how they are told."""


def files() -> list[Path]:
    return [path for folder in SHIPPED for path in sorted((ROOT / folder).rglob("*.py")) if "_pb2" not in path.name]


def called(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Calls by what they call, whatever a module is called where it is imported."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update({alias.asname or alias.name: alias.name for alias in node.names})
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, dot, rest = ast.unparse(node.func).partition(".")
            yield names.get(first, first) + dot + rest, node


def wrongs(tree: ast.AST) -> list[str]:
    found = []
    for name, call in called(tree):
        given = {each.arg: each.value for each in call.keywords}
        if name in CALLS:
            found.append(f"line {call.lineno}: {name}")
        if name in SAFELY:
            word, value = SAFELY[name]
            if not isinstance(given.get(word), ast.Constant) or given[word].value is not value:  # type: ignore[attr-defined]
                found.append(f"line {call.lineno}: {name} without {word}={value}")
        if "shell" in given and ast.unparse(given["shell"]) != "False":
            found.append(f"line {call.lineno}: a shell")
        if ast.unparse(given.get("trust_remote_code", ast.Constant(False))) != "False":
            found.append(f"line {call.lineno}: code that comes with a model")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            found += [f"line {node.lineno}: {module}" for module in modules if module.split(".")[0] in MODULES]
    return found


def test_nothing_shipped_runs_what_it_is_given() -> None:
    wrong = {
        str(path.relative_to(ROOT)): found for path in files() if (found := wrongs(ast.parse(path.read_text("utf-8"))))
    }
    assert not wrong
    assert len(files()) > 300


@pytest.mark.parametrize(
    "code",
    [
        "import pickle\npickle.loads(data)",
        "from pickle import loads as read\nread(data)",
        "import torch as t\nt.load(file)",
        "import torch\ntorch.load(file, weights_only=flag)",
        "import numpy as np\nnp.load(file, allow_pickle=True)",
        "import subprocess\nsubprocess.run(line, shell=True)",
        "from os import system\nsystem(line)",
        "eval(text)",
        "Model.from_pretrained(name, trust_remote_code=True)",
        "import dill",
    ],
)
def test_each_of_these_would_be_seen(code: str) -> None:
    assert wrongs(ast.parse(code))
