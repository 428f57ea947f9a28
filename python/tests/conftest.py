"""What several tests share."""

from __future__ import annotations

import importlib.util

import pytest


def needs(*packages: str) -> pytest.MarkDecorator:
    """Skip a test unless packages are installed; the reason says what to install."""
    names = {"stable_baselines3": "stable-baselines3", "rsl_rl": "rsl-rl-lib"}
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    install = " ".join(names.get(name, name) for name in missing)
    return pytest.mark.skipif(bool(missing), reason=f"pip install {install}")
