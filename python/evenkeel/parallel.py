"""Scenarios with several robots as a PettingZoo `ParallelEnv`. Needs the package `pettingzoo`."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from gymnasium.utils import seeding
from numpy.typing import NDArray

from evenkeel._evenkeel import OUTCOMES, Environments, Scenario
from evenkeel._spaces import action_space, observation_space

try:
    from pettingzoo import ParallelEnv
except ImportError as error:
    raise ImportError("evenkeel.parallel needs PettingZoo: pip install pettingzoo") from error


class NavParallelEnv(ParallelEnv[str, NDArray[np.float32], NDArray[np.float32]]):
    """A world with several robots, `robot_0`, `robot_1`, and so on.

    Each robot has its own goal, reward and outcome; they see one another by lidar. A robot whose
    part of the episode has ended leaves `agents`, and stands still until the others have ended.
    Observations are `[obs]`, actions `[act]` in [-1, 1]: see `evenkeel.NavVectorEnv`. Each robot's
    info has `reward_terms`, and at the end of its part `outcome`, `success`, `episode_return` and
    `episode_length` (control steps).

    `reset(seed=s)` starts episode 0 of seed s, `reset()` the next one,
    `reset(options={"episode": n})` episode n. Without any seed, one is drawn from the system's
    entropy.

    Args:
        scenario: Name of a shipped scenario, or path of a scenario file.
        settings: Overrides of the scenario, such as `{"robot.0.count": 4}`.
        seed: Root seed, until `reset` is given another.
        render_mode: `"rgb_array"` or None.
        render_size: Longer side of the images, pixels.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "name": "evenkeel", "render_fps": 10}

    def __init__(
        self,
        scenario: str | os.PathLike[str] = "swap",
        *,
        settings: dict[str, Any] | None = None,
        seed: int | None = None,
        render_mode: str | None = None,
        render_size: int = 600,
    ) -> None:
        self.scenario = Scenario(scenario, settings)
        self.metadata = {
            **type(self).metadata,
            "name": f"evenkeel_{self.scenario.name}_v0",
            "render_fps": round(1.0 / self.scenario.control_step_secs),
        }
        self.render_mode = render_mode
        self.render_size = render_size
        self.possible_agents = [f"robot_{robot}" for robot in range(self.scenario.robots)]
        self.agents: list[str] = []
        self.observation_spaces = {
            agent: observation_space(self.scenario) for agent in self.possible_agents
        }
        self.action_spaces = {agent: action_space(self.scenario) for agent in self.possible_agents}
        self._seed = seed
        self._environments: Environments | None = None

    def observation_space(self, agent: str) -> Box[Any]:
        """Return the space of a robot's observation, `[obs]`."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Box[Any]:
        """Return the space of a robot's action, `[act]`."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[np.float32]], dict[str, dict[str, Any]]]:
        """Start an episode: episode 0 of `seed`, or the next, or that of `options["episode"]`."""
        obs = self._new_observations()
        if self._environments is None:
            first = seed if seed is not None else self._seed
            if first is None:
                first = int(seeding.np_random()[0].integers(2**63))
            robots = self.scenario.robots
            self._environments = Environments(self.scenario, robots, first, 1, "Disabled")
        self._environments.reset(obs, seed, None, (options or {}).get("episode"))
        self.agents = self.possible_agents[:]
        observations = dict(zip(self.agents, obs, strict=True))
        return observations, {agent: {} for agent in self.agents}

    def step(
        self, actions: dict[str, NDArray[np.float32]]
    ) -> tuple[
        dict[str, NDArray[np.float32]],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """Make one control step with an action for each robot in `agents`."""
        if not self.agents:
            return {}, {}, {}, {}, {}
        rows = np.zeros((self.scenario.robots, self.scenario.action_dim), dtype=np.float32)
        for robot, agent in enumerate(self.possible_agents):
            if agent in self.agents:
                rows[robot] = actions[agent]
        obs = self._new_observations()
        reward, terminated, truncated, terms, _, ended = self._started().step(rows, obs)
        live = [
            (robot, name) for robot, name in enumerate(self.possible_agents) if name in self.agents
        ]
        infos: dict[str, dict[str, Any]] = {
            agent: {
                "reward_terms": dict(
                    zip(self.scenario.reward_terms, terms[robot].tolist(), strict=True)
                )
            }
            for robot, agent in live
        }
        if ended is not None:
            for robot, outcome, total, length, _ in zip(*ended, strict=True):
                infos[self.possible_agents[robot]] |= {
                    "outcome": OUTCOMES[outcome],
                    "success": bool(outcome == 0),
                    "episode_return": float(total),
                    "episode_length": int(length),
                }
        self.agents = [
            agent for robot, agent in live if not (terminated[robot] or truncated[robot])
        ]
        return (
            {agent: obs[robot] for robot, agent in live},
            {agent: float(reward[robot]) for robot, agent in live},
            {agent: bool(terminated[robot]) for robot, agent in live},
            {agent: bool(truncated[robot]) for robot, agent in live},
            infos,
        )

    def render(self) -> NDArray[np.uint8] | None:
        """Return an image of the world, `[height, width, 3]`, or None without a render mode."""
        if self.render_mode is None:
            return None
        return self._started().render(0, self.render_size)

    def state(self) -> NDArray[np.float32]:
        """Return the pose of each robot, x and y in metres and heading in radians: `[robots * 3]`."""
        return self._started().poses().reshape(-1)

    def _new_observations(self) -> NDArray[np.float32]:
        return np.empty((self.scenario.robots, self.scenario.obs_dim), dtype=np.float32)

    def _started(self) -> Environments:
        if self._environments is None:
            raise RuntimeError("call reset before the first step")
        return self._environments
