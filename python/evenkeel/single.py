"""One environment as a `gymnasium.Env`, and the registration of all scenarios."""

from __future__ import annotations

import os
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from evenkeel._evenkeel import OUTCOMES, Environments, Scenario, scenario_names
from evenkeel._spaces import action_space, observation_space


class NavEnv(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """One navigation environment, for scenarios with one robot.

    Observations are `[obs]`, actions `[act]` in [-1, 1], both float32: see
    `evenkeel.NavVectorEnv`. `info` of a step has `reward_terms`, a dict of numbers whose sum is the
    reward; once the episode has ended also `outcome` (one of `evenkeel.OUTCOMES`), `success`,
    `episode_return` and `episode_length` (control steps).

    An episode is a function of the seed and its number: `reset(seed=s)` starts episode 0 of seed s,
    `reset()` the next one, `reset(options={"episode": n})` episode n. Without any seed, one is drawn
    from the system's entropy.

    Args:
        scenario: Name of a shipped scenario, or path of a scenario file.
        settings: Overrides of the scenario, such as `{"robot.0.lidar.beams": 128}`.
        seed: Root seed, until `reset` is given another.
        render_mode: `"rgb_array"` or None.
        render_size: Longer side of the images, pixels.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(
        self,
        scenario: str | os.PathLike[str] = "reference",
        *,
        settings: dict[str, Any] | None = None,
        seed: int | None = None,
        render_mode: str | None = None,
        render_size: int = 600,
    ) -> None:
        self.scenario = Scenario(scenario, settings)
        if self.scenario.robots > 1:
            raise ValueError(
                f"scenario '{self.scenario.name}' has {self.scenario.robots} robots; use "
                "evenkeel.parallel_env or evenkeel.make_vec"
            )
        self.metadata = {
            **type(self).metadata,
            "render_fps": round(1.0 / self.scenario.control_step_secs),
        }
        self.render_mode = render_mode
        self.render_size = render_size
        self.observation_space = observation_space(self.scenario)
        self.action_space = action_space(self.scenario)
        self._seed = seed
        self._environments: Environments | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode: episode 0 of `seed`, or the next, or that of `options["episode"]`."""
        super().reset(seed=seed)
        obs = np.empty((1, self.scenario.obs_dim), dtype=np.float32)
        if self._environments is None:
            first = seed if seed is not None else self._seed
            if first is None:
                first = int(self.np_random.integers(2**63))
            self._environments = Environments(self.scenario, 1, first, 1, "Disabled")
        self._environments.reset(obs, seed, None, (options or {}).get("episode"))
        return obs[0], {}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Make one control step with `action`, `[act]`."""
        obs = np.empty((1, self.scenario.obs_dim), dtype=np.float32)
        row = np.ascontiguousarray(action, dtype=np.float32).reshape(1, -1)
        reward, terminated, truncated, terms, _, ended = self._started().step(row, obs)
        info: dict[str, Any] = {
            "reward_terms": dict(zip(self.scenario.reward_terms, terms[0].tolist(), strict=True))
        }
        if ended is not None:
            _, outcomes, returns, lengths, _ = ended
            info["outcome"] = OUTCOMES[outcomes[0]]
            info["success"] = bool(outcomes[0] == 0)
            info["episode_return"] = float(returns[0])
            info["episode_length"] = int(lengths[0])
        return obs[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), info

    def render(self) -> NDArray[np.uint8] | None:
        """Return an image of the world, `[height, width, 3]`, or None without a render mode."""
        if self.render_mode is None:
            return None
        return self._started().render(0, self.render_size)

    def _started(self) -> Environments:
        if self._environments is None:
            raise RuntimeError("call reset before the first step")
        return self._environments


def scenarios() -> list[str]:
    """Return the names of the shipped scenarios, easiest first."""
    return scenario_names()


def register_envs() -> None:
    """Register `evenkeel/NAME-v0` for each shipped scenario, and `evenkeel/Navigation-v0`."""
    ids = {"evenkeel/Navigation-v0": "reference"}
    ids.update({f"evenkeel/{name}-v0": name for name in scenario_names()})
    for env_id, name in ids.items():
        if env_id not in gymnasium.registry:
            gymnasium.register(
                id=env_id,
                entry_point="evenkeel.single:NavEnv",
                vector_entry_point="evenkeel.vector:NavVectorEnv",
                kwargs={"scenario": name},
            )
