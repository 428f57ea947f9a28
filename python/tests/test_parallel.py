"""The PettingZoo environment."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import needs

import evenkeel

pytestmark = needs("pettingzoo")

TEAMS = [name for name in evenkeel.scenarios() if evenkeel.Scenario(name).robots > 1]


def make(scenario: str = "swap"):
    return evenkeel.parallel_env(scenario, render_mode="rgb_array")


@pytest.mark.parametrize("scenario", [*TEAMS, "reference"])
def test_pettingzoo_checks_pass(scenario):
    from pettingzoo.test import parallel_api_test, parallel_seed_test

    parallel_api_test(make(scenario), num_cycles=400)
    parallel_seed_test(lambda: make(scenario), num_cycles=400)


def test_a_world_equals_the_rows_of_a_vector_environment():
    env = evenkeel.parallel_env("swap")
    envs = evenkeel.make_vec("swap", 6, autoreset_mode="Disabled")
    obs, _ = env.reset(seed=7)
    rows, _ = envs.reset(seed=7)
    envs.action_space.seed(1)
    ended = 0
    while env.agents:
        assert all(np.array_equal(obs[a], rows[int(a[-1])]) for a in env.agents)
        actions = envs.action_space.sample()
        live = list(env.agents)
        obs, rewards, terminated, truncated, infos = env.step(
            {agent: actions[int(agent[-1])] for agent in live}
        )
        rows, row_rewards, row_ends, row_cuts, row_infos = envs.step(actions)
        for agent in live:
            row = int(agent[-1])
            assert rewards[agent] == row_rewards[row]
            assert (terminated[agent], truncated[agent]) == (row_ends[row], row_cuts[row])
            if terminated[agent] or truncated[agent]:
                ended += 1
                assert infos[agent]["outcome"] == row_infos["outcome"][row]
    assert ended == 6
    assert env.state().shape == (18,)
    assert env.reset()[0]["robot_0"].shape == (env.scenario.obs_dim,)
