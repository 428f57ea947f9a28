"""Environments for rsl_rl, which must be installed."""

from __future__ import annotations

from typing import Any

import numpy as np

from evenkeel._evenkeel import OUTCOMES
from evenkeel.vector import NavVectorEnv, make_vec

try:
    import torch
    from rsl_rl.env import VecEnv
    from tensordict import TensorDict
except ImportError as error:
    raise ImportError("evenkeel.rsl_rl needs rsl_rl: pip install rsl-rl-lib") from error


class RslRlVecEnv(VecEnv):
    """A `NavVectorEnv` as an rsl_rl `VecEnv`.

    Observations are a `TensorDict` with the group `policy`, `[num_envs, obs]`; rewards and dones are
    `[num_envs]`. `extras["time_outs"]` marks the episodes that the time limit ended, and
    `extras["log"]` has the share of each outcome among the episodes that ended in this step.

    Args:
        envs: Environments whose episodes restart in the same step, of a scenario with one robot.
        device: Device of the tensors.
    """

    def __init__(self, envs: NavVectorEnv, device: str = "cpu") -> None:
        if envs.scenario.robots > 1:
            raise ValueError(
                f"scenario '{envs.scenario.name}' has {envs.scenario.robots} robots, whose episodes "
                "end at different times; rsl_rl has no mask for that"
            )
        if envs.autoreset_mode.value != "SameStep":
            raise ValueError("rsl_rl needs autoreset_mode='SameStep'")
        self.envs = envs
        self.device = device
        self.num_envs = envs.num_envs
        self.num_actions = envs.scenario.action_dim
        self.max_episode_length = envs.scenario.time_limit_steps
        self.episode_length_buf = torch.zeros(self.num_envs, dtype=torch.long, device=device)
        self.cfg = {"scenario": envs.scenario.name}
        observations, _ = envs.reset()
        self._observations = self._group(observations)

    def get_observations(self) -> TensorDict:
        """Return the current observations."""
        return self._observations

    def step(
        self, actions: torch.Tensor
    ) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Make one control step with `actions`, `[num_envs, act]`."""
        observations, rewards, terminated, truncated, infos = self.envs.step(
            actions.detach().cpu().numpy()
        )
        dones = self._tensor(terminated | truncated)
        extras: dict[str, Any] = {"time_outs": self._tensor(truncated)}
        if "final_info" in infos:
            outcomes = infos["final_info"]["outcome"][terminated | truncated]
            extras["log"] = {
                f"/outcome/{name}": float(np.mean(outcomes == name)) for name in OUTCOMES
            }
        self.episode_length_buf += 1
        self.episode_length_buf[dones] = 0
        self._observations = self._group(observations)
        return self._observations, self._tensor(rewards), dones.long(), extras

    def _group(self, observations: Any) -> TensorDict:
        return TensorDict({"policy": self._tensor(observations)}, batch_size=[self.num_envs])

    def _tensor(self, array: Any) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)


def make_rsl_rl(scenario: str, num_envs: int, *, device: str = "cpu", **kwargs: Any) -> RslRlVecEnv:
    """Return `num_envs` environments of a scenario; `kwargs` are those of `evenkeel.make_vec`."""
    return RslRlVecEnv(make_vec(scenario, num_envs, **kwargs), device)
