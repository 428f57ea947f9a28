"""Fast robot-navigation environments with lidar.

    >>> import evenkeel
    >>> envs = evenkeel.make_vec("reference", num_envs=1024)
    >>> obs, infos = envs.reset()
    >>> obs, rewards, terminated, truncated, infos = envs.step(envs.action_space.sample())

- `make_vec`: many environments as one `gymnasium.vector.VectorEnv`.
- `gymnasium.make("evenkeel/reference-v0")`: one environment; any scenario by
  `gymnasium.make("evenkeel/Navigation-v0", scenario="path.toml")`.
- `parallel_env`: a PettingZoo `ParallelEnv` for scenarios with several robots.
- `evenkeel.sb3`, `evenkeel.rsl_rl`: adapters for Stable-Baselines3 and rsl_rl.
- `evaluate`, `record`: a policy on held-out episodes.
- `Monitor`: evenkeel's stability measurements for any PyTorch training.
- `read_run`, `read_recording`: what the program `evenkeel` has written.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from evenkeel._evenkeel import OUTCOMES, Scenario, __version__
from evenkeel.evaluation import Evaluation, Metric, Policy, evaluate, record
from evenkeel.monitor import Monitor, Symptom
from evenkeel.runs import Episode, Recording, Run, read_recording, read_run
from evenkeel.single import NavEnv, register_envs, scenarios
from evenkeel.vector import NavVectorEnv, make_vec

if TYPE_CHECKING:
    from evenkeel.parallel import NavParallelEnv

__all__ = [
    "OUTCOMES",
    "Episode",
    "Evaluation",
    "Metric",
    "Monitor",
    "NavEnv",
    "NavVectorEnv",
    "Policy",
    "Recording",
    "Run",
    "Scenario",
    "Symptom",
    "__version__",
    "evaluate",
    "make_vec",
    "parallel_env",
    "read_recording",
    "read_run",
    "record",
    "scenarios",
]


def parallel_env(
    scenario: str | os.PathLike[str] = "swap",
    *,
    settings: dict[str, Any] | None = None,
    seed: int | None = None,
    render_mode: str | None = None,
) -> NavParallelEnv:
    """Return a PettingZoo `ParallelEnv` of a scenario: see `evenkeel.parallel.NavParallelEnv`.

    Needs the package `pettingzoo`.
    """
    from evenkeel.parallel import NavParallelEnv

    return NavParallelEnv(scenario, settings=settings, seed=seed, render_mode=render_mode)


register_envs()
