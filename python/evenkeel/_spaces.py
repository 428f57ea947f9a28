"""Spaces of observations and actions."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box

from evenkeel._evenkeel import Scenario


def observation_space(scenario: Scenario) -> Box[Any]:
    """Return the space of one robot's observation, `[obs]`, float32."""
    return Box(scenario.obs_low, scenario.obs_high, dtype=np.float32)


def action_space(scenario: Scenario) -> Box[Any]:
    """Return the space of one robot's action, `[act]`, float32 in [-1, 1]."""
    return Box(-1.0, 1.0, shape=(scenario.action_dim,), dtype=np.float32)
