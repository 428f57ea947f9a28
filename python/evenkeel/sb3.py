"""Environments for Stable-Baselines3, which must be installed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from evenkeel.vector import NavVectorEnv, make_vec

try:
    from stable_baselines3.common.vec_env import VecEnv
except ImportError as error:
    raise ImportError(
        "evenkeel.sb3 needs Stable-Baselines3: pip install stable-baselines3"
    ) from error

_Indices = int | Iterable[int] | None


class Sb3VecEnv(VecEnv):
    """A `NavVectorEnv` as a Stable-Baselines3 `VecEnv`.

    Observations are `[num_envs, obs]`, rewards and dones `[num_envs]`. The info of a row whose
    episode ended has `terminal_observation`, `TimeLimit.truncated`, `episode` (return `r`, length `l`,
    time `t` in seconds), `outcome` and `is_success`.

    Args:
        envs: Environments whose episodes restart in the same step, of a scenario with one robot.
    """

    def __init__(self, envs: NavVectorEnv) -> None:
        if envs.scenario.robots > 1:
            raise ValueError(
                f"scenario '{envs.scenario.name}' has {envs.scenario.robots} robots, whose episodes "
                "end at different times; Stable-Baselines3 has no mask for that"
            )
        if envs.autoreset_mode.value != "SameStep":
            raise ValueError("Stable-Baselines3 needs autoreset_mode='SameStep'")
        self.envs = envs
        self._actions: NDArray[np.float32] | None = None
        self._start = time.perf_counter()
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)

    def reset(self) -> NDArray[np.float32]:
        """Start an episode in every environment; `seed` sets their root seed before."""
        seed = self._seeds[0]
        options = self._options[0] or None
        observations, _ = self.envs.reset(seed=seed, options=options)
        self.reset_infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: NDArray[np.float32]) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(
        self,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Make the step."""
        assert self._actions is not None, "step_async comes first"
        observations, rewards, terminated, truncated, infos = self.envs.step(self._actions)
        rows: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        dones = terminated | truncated
        if "final_info" in infos:
            ended = infos["final_info"]
            secs = round(time.perf_counter() - self._start, 6)
            for row in np.flatnonzero(dones):
                rows[row] = {
                    "terminal_observation": infos["final_obs"][row],
                    "TimeLimit.truncated": bool(truncated[row]),
                    "outcome": ended["outcome"][row],
                    "is_success": bool(ended["success"][row]),
                    "episode": {
                        "r": float(ended["episode_return"][row]),
                        "l": int(ended["episode_length"][row]),
                        "t": secs,
                    },
                }
        return observations, rewards, dones, rows

    def close(self) -> None:
        """Close the environments."""
        self.envs.close()

    def get_attr(self, attr_name: str, indices: _Indices = None) -> list[Any]:
        """Return an attribute of the vector environment, once for each index."""
        return [getattr(self.envs, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: _Indices = None) -> None:
        """Set an attribute of the vector environment, which all rows share."""
        if len(list(self._get_indices(indices))) != self.num_envs:
            raise ValueError("the environments share their attributes; set them for all")
        setattr(self.envs, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: _Indices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the vector environment, once for all rows."""
        result = getattr(self.envs, method_name)(*method_args, **method_kwargs)
        return [result for _ in self._get_indices(indices)]

    def env_is_wrapped(
        self, wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]], indices: _Indices = None
    ) -> list[bool]:
        """Return False for each index: the environments have no wrappers."""
        return [False for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """Return an image of each environment, `[height, width, 3]`."""
        return self.envs.render() or [None] * self.num_envs


def make_sb3(scenario: str, num_envs: int = 1, **kwargs: Any) -> Sb3VecEnv:
    """Return `num_envs` environments of a scenario; `kwargs` are those of `evenkeel.make_vec`."""
    return Sb3VecEnv(make_vec(scenario, num_envs, **kwargs))
