"""The same seed and actions give the trajectories of the Rust library's `NavEnv`, bit for bit.

`record` plays episodes with `NavEnv` in Rust, under a controller in Rust, and writes a hash of the
bits of every state. Here the recorded actions are played again through Python.
"""

from __future__ import annotations

import numpy as np
import pytest

import evenkeel
from evenkeel._evenkeel import Environments

CASES = [
    ("reference", "planner:dwa"),
    ("shift", "planner:dwa"),
    ("movers", "planner:straight"),
    ("slam_map", "planner:random"),
    ("swap", "planner:orca"),
]


@pytest.mark.parametrize(("scenario", "policy"), CASES)
def test_recorded_actions_give_the_recorded_bits(tmp_path, scenario, policy):
    path = tmp_path / "rust.mcap"
    steps = evenkeel.record(policy, scenario, path, episodes=3, seed=11)
    recording = evenkeel.read_recording(path)
    assert sum(len(episode) for episode in recording.episodes) == steps
    assert recording.faults == []
    loaded = evenkeel.Scenario(scenario)
    robots = loaded.robots
    envs = Environments(loaded, robots, 11, 1, "Disabled", split="eval")
    obs = np.empty((robots, loaded.obs_dim), dtype=np.float32)
    for episode in recording.episodes:
        envs.reset(obs, episode=episode.episode)
        assert envs.state_hashes()[0] == episode.state_hash[0]
        assert np.array_equal(envs.poses(), episode.pose[0])
        for step in range(len(episode)):
            active = ~episode.inactive[step]
            assert np.array_equal(obs[active], episode.obs[step][active])
            actions = np.where(active[:, None], episode.action[step], 0.0).astype(np.float32)
            reward, terminated, truncated, terms, inactive, _ = envs.step(actions, obs)
            assert np.array_equal(reward[active], episode.reward[step][active])
            assert np.array_equal(terms[active], episode.reward_terms[step][active])
            assert np.array_equal(inactive, episode.inactive[step])
            assert envs.state_hashes()[0] == episode.state_hash[step + 1]
        assert (terminated | truncated).any()


@pytest.mark.parametrize("split", ["train", "validation", "eval"])
def test_splits_have_episodes_of_their_own(split):
    obs = {
        name: evenkeel.make_vec("reference", 1, split=name).reset()[0]
        for name in ["train", "validation", "eval"]
    }
    others = [other for name, other in obs.items() if name != split]
    assert not any(np.array_equal(obs[split], other) for other in others)
