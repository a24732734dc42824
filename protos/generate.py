"""Regenerate the Python modules and type stubs of the wire protocol; ``--check`` fails when they drifted."""

from __future__ import annotations

import filecmp
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PACKAGE = Path("anyportal/v1")
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")


def generate(target: Path) -> None:
    """Write the generated modules of every .proto below ``target``."""
    import grpc_tools

    includes = [HERE, Path(grpc_tools.__file__).parent / "_proto"]
    protos = sorted((HERE / PACKAGE).glob("*.proto"))
    # The mypy plug-ins lie beside the interpreter, which need not be on PATH.
    plugins = [
        f"--plugin=protoc-gen-{name}={Path(sys.executable).parent / f'protoc-gen-{name}'}"
        for name in ("mypy", "mypy_grpc")
    ]
    outputs = [f"--{kind}_out={target}" for kind in ("python", "grpc_python", "mypy")]
    command = [
        sys.executable, "-m", "grpc_tools.protoc", *(f"-I{path}" for path in includes), *plugins, *outputs,
        f"--mypy_grpc_out={target}", *(str(path) for path in protos),
    ]  # fmt: skip
    subprocess.run(command, check=True)


def drift(fresh: Path) -> list[str]:
    """Names of generated files that are missing, superfluous or different."""
    names = {
        path.name
        for root in (HERE, fresh)
        for pattern in GENERATED
        for path in (root / PACKAGE).glob(pattern)
    }
    _, differing, absent = filecmp.cmpfiles(HERE / PACKAGE, fresh / PACKAGE, names, shallow=False)
    return sorted(differing + absent)


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        with tempfile.TemporaryDirectory() as folder:
            generate(Path(folder))
            drifted = drift(Path(folder))
        if drifted:
            print(
                f"the generated modules drifted from the .proto files: {', '.join(drifted)}", file=sys.stderr
            )
            print("run: python protos/generate.py", file=sys.stderr)
            return 1
        print("the generated modules match the .proto files")
        return 0
    if arguments:
        print("usage: generate.py [--check]", file=sys.stderr)
        return 2
    generate(HERE)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
