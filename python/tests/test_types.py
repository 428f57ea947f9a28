"""The annotations and stubs are checked, and agree with the native module."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import needs

from evenkeel import _evenkeel

PROJECT = Path(__file__).parent.parent


@needs("mypy")
def test_mypy_finds_nothing():
    command = [sys.executable, "-m", "mypy", "--config-file", PROJECT / "pyproject.toml"]
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_stubs_name_all_that_the_native_module_has():
    stubs = ast.parse((PROJECT / "evenkeel" / "_evenkeel.pyi").read_text(encoding="utf-8"))
    classes = {node.name: node for node in stubs.body if isinstance(node, ast.ClassDef)}
    functions = {node.name for node in stubs.body if isinstance(node, ast.FunctionDef)}
    values = {
        node.target.id
        for node in stubs.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    native = {name for name in vars(_evenkeel) if not name.startswith("__")} | {"__version__"}
    assert native - {"__all__"} == set(classes) | functions | values


@pytest.mark.parametrize("name", ["Environments", "Scenario"])
def test_the_stubs_name_all_methods(name):
    stubs = ast.parse((PROJECT / "evenkeel" / "_evenkeel.pyi").read_text(encoding="utf-8"))
    stub = next(n for n in stubs.body if isinstance(n, ast.ClassDef) and n.name == name)
    methods = {n.name for n in stub.body if isinstance(n, ast.FunctionDef)}
    native = {n for n in vars(getattr(_evenkeel, name)) if not n.startswith("__")}
    assert native == methods - {"__new__"}
