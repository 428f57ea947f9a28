"""Many environments as one `gymnasium.vector.VectorEnv`."""

from __future__ import annotations

import os
from typing import Any, Literal

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from evenkeel._evenkeel import OUTCOMES, Environments, Scenario
from evenkeel._spaces import action_space, observation_space

_Observations = NDArray[np.float32]
_Ended = tuple[
    NDArray[np.int64],
    NDArray[np.int64],
    NDArray[np.float64],
    NDArray[np.int64],
    NDArray[np.float32],
]


class NavVectorEnv(VectorEnv[_Observations, ArrayLike, NDArray[Any]]):
    """Navigation environments of one scenario, stepped together by threads outside the GIL.

    A row is a robot. In a scenario with one robot, rows are independent environments. In one with
    several robots the robots of a world are adjacent rows, and `num_envs` is a multiple of them.

    - Observations are `[num_envs, obs]`, float32: named blocks (`scenario.obs_blocks`), whose units
      and scales the scenario format defines.
    - Actions are `[num_envs, act]` in [-1, 1]; the scenario's drive defines what they mean. Numbers
      beyond are clamped, and NaN counts as 0.
    - Rewards are `[num_envs]`, float32; `terminated` and `truncated` are `[num_envs]`. Only the time
      limit truncates.

    `infos` of a step has `reward_terms`, a dict of arrays `[num_envs]` whose sum is the reward, and,
    with several robots, `inactive`, `[num_envs]`: whether the robot's part of the episode had ended
    before this step while others go on. Rows of inactive robots must not be learned from.

    Where an episode (of several robots: a robot's part of it) ended in this step, there are also
    `outcome` (one of `evenkeel.OUTCOMES`), `success`, `episode_return` and `episode_length` (control
    steps), with masks `_outcome` and so on. If episodes restart in the same step, these are in
    `infos["final_info"]`, and `infos["final_obs"]` has the last observations, as Gymnasium defines it.

    Environment i plays the episodes 0, 1, 2, … of (seed, i), the same as `VecEnv` of the Rust library,
    bit for bit and for any number of threads.

    Args:
        scenario: Name of a shipped scenario (`evenkeel.scenarios()`), or path of a scenario file.
        num_envs: Number of rows.
        seed: Root seed, until `reset` is given another.
        threads: Number of threads; 0 means one per core. Results do not depend on it.
        settings: Overrides of the scenario, such as `{"robot.0.lidar.beams": 128}`.
        autoreset_mode: When an ended episode is followed by the next: `"SameStep"`, `"NextStep"`, or
            `"Disabled"`, where `reset(options={"reset_mask": mask})` resets the rows of a mask.
        copy: Whether `reset` and `step` return new observation arrays. If not, they write to the
            array that they returned before. All other arrays are always new.
        split: Set of episodes: `"train"`, or the held-out `"validation"` and `"eval"`.
        render_mode: `"rgb_array"` or None.
        render_size: Longer side of the images, pixels.
    """

    metadata: dict[str, Any] = {
        "render_modes": ["rgb_array"],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        scenario: str | os.PathLike[str] = "reference",
        num_envs: int = 1,
        *,
        seed: int = 0,
        threads: int = 0,
        settings: dict[str, Any] | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.SAME_STEP,
        copy: bool = True,
        split: Literal["train", "validation", "eval"] = "train",
        render_mode: str | None = None,
        render_size: int = 600,
    ) -> None:
        self.scenario = Scenario(scenario, settings)
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {
            **type(self).metadata,
            "autoreset_mode": self.autoreset_mode,
            "render_fps": round(1.0 / self.scenario.control_step_secs),
        }
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.render_size = render_size
        self.copy = copy
        self.single_observation_space = observation_space(self.scenario)
        self.single_action_space = action_space(self.scenario)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.environments = Environments(
            self.scenario, num_envs, seed, threads, self.autoreset_mode.value, split
        )
        self._observations = self._new_observations()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[_Observations, dict[str, Any]]:
        """Start episodes and return the observations, `[num_envs, obs]`.

        Without a seed, each environment starts its next episode; with one, episode 0 of that seed.

        Args:
            seed: The new root seed.
            options: `{"reset_mask": mask}`, a bool array `[num_envs]`, resets only some rows.
                `{"episode": n}` starts episode n.
        """
        super().reset(seed=seed)
        options = options or {}
        mask = options.get("reset_mask")
        if mask is not None:
            mask = self._checked_mask(mask)
        observations = self._next_observations()
        self.environments.reset(observations, seed, mask, options.get("episode"))
        return observations, {}

    def step(
        self, actions: ArrayLike
    ) -> tuple[_Observations, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Make one control step with `actions`, `[num_envs, act]`."""
        rows = np.ascontiguousarray(actions, dtype=np.float32)
        observations = self._next_observations()
        reward, terminated, truncated, terms, inactive, ended = self.environments.step(
            rows, observations
        )
        infos: dict[str, Any] = {
            "reward_terms": {
                name: terms[:, index] for index, name in enumerate(self.scenario.reward_terms)
            }
        }
        if self.scenario.robots > 1:
            infos["inactive"] = inactive
        if ended is not None:
            self._add_ended(infos, ended)
        return observations, reward, terminated, truncated, infos

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Return an image of each world, `[height, width, 3]`, or None without a render mode."""
        if self.render_mode is None:
            return None
        rows = range(0, self.num_envs, self.scenario.robots)
        return tuple(self.environments.render(row, self.render_size) for row in rows)

    def _new_observations(self) -> _Observations:
        return np.empty((self.num_envs, self.scenario.obs_dim), dtype=np.float32)

    def _next_observations(self) -> _Observations:
        return self._new_observations() if self.copy else self._observations

    def _checked_mask(self, mask: object) -> NDArray[np.bool_]:
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
            raise TypeError(f"options['reset_mask'] must be a numpy array of bools, not {mask!r}")
        if mask.shape != (self.num_envs,):
            raise ValueError(
                f"options['reset_mask'] has shape {mask.shape}, not ({self.num_envs},)"
            )
        if not mask.any():
            raise ValueError("options['reset_mask'] selects no environment")
        return mask

    def _add_ended(self, infos: dict[str, Any], ended: _Ended) -> None:
        """Add what is known of the episodes that ended in this step."""
        rows, outcomes, returns, lengths, final_obs = ended
        mask = np.zeros(self.num_envs, dtype=np.bool_)
        mask[rows] = True
        outcome = np.full(self.num_envs, None, dtype=object)
        success = np.zeros(self.num_envs, dtype=np.bool_)
        episode_return = np.zeros(self.num_envs)
        episode_length = np.zeros(self.num_envs, dtype=np.int64)
        outcome[rows] = [OUTCOMES[number] for number in outcomes]
        success[rows] = outcomes == 0
        episode_return[rows] = returns
        episode_length[rows] = lengths
        info: dict[str, Any] = {
            "outcome": outcome,
            "_outcome": mask,
            "success": success,
            "_success": mask.copy(),
            "episode_return": episode_return,
            "_episode_return": mask.copy(),
            "episode_length": episode_length,
            "_episode_length": mask.copy(),
        }
        if self.autoreset_mode != AutoresetMode.SAME_STEP:
            infos.update(info)
            return
        last = np.full(self.num_envs, None, dtype=object)
        for row, observation in zip(rows, final_obs, strict=True):
            last[row] = observation
        infos["final_obs"] = last
        infos["_final_obs"] = mask.copy()
        infos["final_info"] = info
        infos["_final_info"] = mask.copy()


def make_vec(
    scenario: str | os.PathLike[str],
    num_envs: int = 1,
    *,
    seed: int = 0,
    threads: int = 0,
    settings: dict[str, Any] | None = None,
    autoreset_mode: str | AutoresetMode = AutoresetMode.SAME_STEP,
    copy: bool = True,
    split: Literal["train", "validation", "eval"] = "train",
    render_mode: str | None = None,
    render_size: int = 600,
) -> NavVectorEnv:
    """Return `num_envs` environments of a scenario as one vector environment.

    See `NavVectorEnv` for the arguments, and for what `reset` and `step` return.
    """
    return NavVectorEnv(
        scenario,
        num_envs,
        seed=seed,
        threads=threads,
        settings=settings,
        autoreset_mode=autoreset_mode,
        copy=copy,
        split=split,
        render_mode=render_mode,
        render_size=render_size,
    )
