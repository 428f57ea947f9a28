"""The single environment: Gymnasium's checks, registration, pictures."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import evenkeel

SINGLE = [name for name in evenkeel.scenarios() if evenkeel.Scenario(name).robots == 1]


@pytest.mark.parametrize("scenario", SINGLE)
def test_gymnasium_checks_pass(scenario):
    env = gymnasium.make(f"evenkeel/{scenario}-v0", render_mode="rgb_array")
    check_env(env.unwrapped)
    env.close()


def test_a_scenario_file_makes_an_environment(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(evenkeel.Scenario("u_trap").to_toml())
    env = gymnasium.make("evenkeel/Navigation-v0", scenario=path)
    same = gymnasium.make("evenkeel/u_trap-v0")
    assert np.array_equal(env.reset(seed=8)[0], same.reset(seed=8)[0])
    assert env.unwrapped.scenario.name == "mine"


def test_a_mistake_in_a_file_is_reported_with_its_place(tmp_path):
    path = tmp_path / "mine.toml"
    text = evenkeel.Scenario("open_field").to_toml()
    path.write_text(text.replace("beams = 64", "beams = 6400"))
    with pytest.raises(ValueError, match=r"mine.toml:\d+:\d+: .*beams is 6400"):
        evenkeel.Scenario(path)


def test_several_robots_are_refused():
    with pytest.raises(ValueError, match="swap' has 6 robots; use evenkeel.parallel_env"):
        gymnasium.make("evenkeel/swap-v0")


def test_without_a_seed_environments_differ():
    first, _ = evenkeel.NavEnv("reference").reset()
    second, _ = evenkeel.NavEnv("reference").reset()
    assert not np.array_equal(first, second)


def test_a_step_before_the_first_reset_is_refused():
    with pytest.raises(RuntimeError, match="reset"):
        evenkeel.NavEnv("reference").step(np.zeros(2, dtype=np.float32))


def test_the_picture_shows_where_the_robot_is():
    env = evenkeel.NavEnv("open_field", render_mode="rgb_array", render_size=300)
    env.reset(seed=0)
    before = env.render()
    assert before.shape == (300, 300, 3) and before.dtype == np.uint8
    for _ in range(4):
        env.step(np.array([-1.0, 1.0], dtype=np.float32))
    assert not np.array_equal(env.render(), before)
    env.render_size = 0
    with pytest.raises(ValueError, match="1 to 8192 pixels"):
        env.render()
