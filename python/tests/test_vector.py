"""The vector environment: Gymnasium's interface, the modes of autoreset, sameness."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_returned_data_not_reused, data_equivalence
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics

import evenkeel

SHORT = {"task.time_limit_secs": 1.0}


def random_actions(envs: evenkeel.NavVectorEnv, seed: int = 0):
    envs.action_space.seed(seed)
    while True:
        yield envs.action_space.sample()


def standing(rows: int):
    """Actions of robots that stay where they are."""
    return np.tile(np.array([-1.0, 0.0], dtype=np.float32), (rows, 1))


@pytest.mark.parametrize("scenario", evenkeel.scenarios())
def test_every_scenario_steps_within_its_spaces(scenario):
    robots = evenkeel.Scenario(scenario).robots
    envs = evenkeel.make_vec(scenario, num_envs=2 * robots, settings=SHORT)
    obs, infos = envs.reset(seed=1)
    assert obs in envs.observation_space
    assert infos == {}
    ended = 0
    for _, actions in zip(range(30), random_actions(envs)):
        obs, rewards, terminated, truncated, infos = envs.step(actions)
        assert obs in envs.observation_space
        for array, dtype in [(rewards, np.float32), (terminated, bool), (truncated, bool)]:
            assert array.shape == (2 * robots,)
            assert array.dtype == dtype
        terms = np.sum([infos["reward_terms"][name] for name in envs.scenario.reward_terms], axis=0)
        assert np.allclose(terms, rewards, atol=1e-5)
        ended += np.sum(terminated | truncated)
    assert ended >= 2 * robots


def test_spaces_have_finite_bounds():
    for scenario in evenkeel.scenarios():
        space = evenkeel.make_vec(scenario, evenkeel.Scenario(scenario).robots).observation_space
        assert np.isfinite(space.low).all() and np.isfinite(space.high).all()


def test_same_step_gives_the_last_observation_and_starts_the_next_episode():
    envs = evenkeel.make_vec("reference", num_envs=3, settings=SHORT)
    assert envs.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    envs.reset(seed=4)
    actions = standing(3)
    for _ in range(9):
        _, _, terminated, truncated, infos = envs.step(actions)
        assert not (terminated | truncated).any() and "final_obs" not in infos
    obs, _, terminated, truncated, infos = envs.step(actions)
    assert truncated.all() and not terminated.any()
    assert infos["_final_obs"].all() and infos["_final_info"].all()
    ended = infos["final_info"]
    assert list(ended["outcome"]) == ["time_limit"] * 3
    assert not ended["success"].any()
    assert (ended["episode_length"] == 10).all()
    for row in range(3):
        assert infos["final_obs"][row].shape == obs[row].shape
        assert not np.array_equal(infos["final_obs"][row], obs[row])
    assert (envs.environments.episodes() == 1).all()


def test_next_step_resets_in_the_step_after_the_last():
    envs = evenkeel.make_vec("reference", 2, settings=SHORT, autoreset_mode="NextStep")
    assert envs.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    same = evenkeel.make_vec("reference", 2, settings=SHORT)
    envs.reset(seed=4)
    same.reset(seed=4)
    actions = standing(2)
    for _ in range(10):
        obs, _, _, truncated, infos = envs.step(actions)
        first, _, _, _, same_infos = same.step(actions)
    assert truncated.all()
    assert list(infos["outcome"]) == ["time_limit"] * 2 and infos["_outcome"].all()
    assert np.array_equal(obs, np.stack(same_infos["final_obs"]))
    obs, rewards, terminated, truncated, infos = envs.step(actions)
    assert np.array_equal(obs, first)
    assert not rewards.any() and not (terminated | truncated).any()
    assert "outcome" not in infos


def test_disabled_resets_what_the_mask_selects():
    envs = evenkeel.make_vec("reference", 4, settings=SHORT, autoreset_mode="Disabled")
    envs.reset(seed=4)
    actions = standing(4)
    for _ in range(10):
        obs, _, _, truncated, infos = envs.step(actions)
    assert truncated.all() and list(infos["episode_length"]) == [10] * 4
    with pytest.raises(ValueError, match="environment 0 has ended its episode; reset it"):
        envs.step(actions)
    mask = np.array([True, False, True, False])
    reset_obs, _ = envs.reset(options={"reset_mask": mask})
    changed = (reset_obs != obs).any(axis=1)
    assert list(changed) == list(mask)
    envs.reset(options={"reset_mask": ~mask})
    assert (envs.environments.episodes() == 1).all()
    envs.step(actions)


@pytest.mark.parametrize(
    ("mask", "error"),
    [
        ([True, False], TypeError),
        (np.array([1, 0]), TypeError),
        (np.array([True]), ValueError),
        (np.array([False, False]), ValueError),
    ],
)
def test_an_invalid_mask_is_refused(mask, error):
    envs = evenkeel.make_vec("reference", 2, autoreset_mode="Disabled")
    with pytest.raises(error, match="reset_mask"):
        envs.reset(options={"reset_mask": mask})


def test_robots_of_a_world_are_reset_together():
    envs = evenkeel.make_vec("swap", 12, autoreset_mode="Disabled")
    envs.reset(seed=0)
    with pytest.raises(ValueError, match="rows 0 to 5"):
        envs.reset(options={"reset_mask": np.arange(12) == 3})
    envs.reset(options={"reset_mask": np.arange(12) < 6})
    assert list(envs.environments.episodes()) == [1] * 6 + [0] * 6


def test_inactive_robots_are_marked():
    envs = evenkeel.make_vec("swap", 6)
    envs.reset(seed=0)
    ended = np.zeros(6, dtype=bool)
    for _, actions in zip(range(600), random_actions(envs)):
        _, rewards, terminated, truncated, infos = envs.step(actions)
        assert np.array_equal(infos["inactive"], ended)
        assert not rewards[ended].any() and not (terminated | truncated)[ended].any()
        ended |= terminated | truncated
        if ended.all():
            break
    assert ended.all()
    _, _, _, _, infos = envs.step(actions)
    assert not infos["inactive"].any()


def test_no_array_of_a_former_step_changes():
    envs = evenkeel.make_vec("reference", 4, settings=SHORT)
    kept = [envs.reset(seed=2)]
    copies = [kept[0][0].copy()]
    for _, actions in zip(range(12), random_actions(envs)):
        kept.append(envs.step(actions))
        copies.append(kept[-1][0].copy())
    for step, copy in zip(kept, copies):
        assert np.array_equal(step[0], copy)
    check_returned_data_not_reused(evenkeel.make_vec("reference", 1))


def test_without_copies_observations_share_one_array():
    envs = evenkeel.make_vec("reference", 4, copy=False)
    same = evenkeel.make_vec("reference", 4)
    first, _ = envs.reset(seed=2)
    same.reset(seed=2)
    actions = envs.action_space.sample()
    second = envs.step(actions)[0]
    assert second is first
    assert np.array_equal(second, same.step(actions)[0])


@pytest.mark.parametrize("scenario", ["movers", "swap"])
def test_results_do_not_depend_on_threads(scenario):
    rows = 60
    runs = []
    for threads in [1, 2, 5]:
        envs = evenkeel.make_vec(scenario, rows, seed=9, threads=threads)
        trajectory = [envs.reset()[0]]
        for _, actions in zip(range(120), random_actions(envs)):
            step = envs.step(actions)
            trajectory += [step[0], step[1], step[2], step[3]]
        trajectory.append(envs.environments.state_hashes())
        runs.append(trajectory)
    for other in runs[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(runs[0], other))


def test_a_seed_gives_the_same_episodes_again_and_no_seed_the_next():
    envs = evenkeel.make_vec("reference", 3)
    a, _ = envs.reset(seed=5)
    b, _ = envs.reset()
    c, _ = envs.reset(seed=5)
    d, _ = envs.reset()
    e, _ = envs.reset(seed=6)
    f, _ = envs.reset(options={"episode": 1})
    assert np.array_equal(a, c) and np.array_equal(b, d)
    assert not np.array_equal(a, b) and not np.array_equal(a, e)
    g, _ = envs.reset(seed=5, options={"episode": 1})
    assert np.array_equal(g, b) and not np.array_equal(f, b)


def test_rows_equal_single_environments():
    envs = evenkeel.make_vec("shift", 1, seed=3)
    single = evenkeel.NavEnv("shift", seed=3)
    obs, _ = envs.reset()
    one, _ = single.reset()
    assert np.array_equal(obs[0], one)
    for _, actions in zip(range(50), random_actions(envs)):
        obs, rewards, terminated, truncated, infos = envs.step(actions)
        one, reward, end, cut, info = single.step(actions[0])
        assert rewards[0] == reward and terminated[0] == end and truncated[0] == cut
        if end or cut:
            assert np.array_equal(infos["final_obs"][0], one)
            assert infos["final_info"]["outcome"][0] == info["outcome"]
            one, _ = single.reset()
        assert np.array_equal(obs[0], one)


def test_wrappers_of_gymnasium_work():
    plain = evenkeel.make_vec("reference", 3, settings=SHORT)
    envs = DictInfoToList(RecordEpisodeStatistics(plain))
    envs.reset(seed=0)
    actions = standing(3)
    for _ in range(10):
        _, _, _, _, infos = envs.step(actions)
    for info in infos:
        assert info["episode"]["l"] == info["final_info"]["episode_length"] == 10
        assert np.isclose(info["episode"]["r"], info["final_info"]["episode_return"], atol=1e-4)


def test_gymnasium_makes_vector_environments():
    envs = gymnasium.make_vec("evenkeel/movers-v0", num_envs=5, seed=2)
    assert isinstance(envs, evenkeel.NavVectorEnv)
    same = evenkeel.make_vec("movers", 5, seed=2)
    assert np.array_equal(envs.reset()[0], same.reset()[0])
    sync = gymnasium.make_vec("evenkeel/movers-v0", num_envs=2, vectorization_mode="sync")
    sync.reset(seed=1)
    sync.step(sync.action_space.sample())
    sync.close()


def test_settings_change_the_scenario():
    settings = {
        "robot.0.lidar.beams": np.int64(128),
        "arena.size_m": [8.0, 9],
        "task": {"goal_radius_m": 0.4},
    }
    envs = evenkeel.make_vec("open_field", 1, settings=settings)
    assert envs.scenario.obs_blocks[0] == ("lidar", 0, 128)
    assert "goal_radius_m = 0.4" in envs.scenario.to_toml()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scenario": "referense"}, "no scenario 'referense'; did you mean 'reference'"),
        ({"scenario": "no/such.toml"}, "no/such.toml"),
        ({"settings": {"robot.0.lidar.beams": 0}}, "beams is 0; write 1 to 4096"),
        ({"settings": {"robot.0.lidar.beems": 3}}, "beems"),
        ({"settings": {"train.num_envs": 3}}, "training setting"),
        ({"settings": {"task.goal_radius_m": None}}, "task.goal_radius_m: None"),
        ({"num_envs": 0}, "at least 1"),
        ({"scenario": "swap", "num_envs": 7}, "not a multiple of the 6 robots"),
        ({"autoreset_mode": "Sometimes"}, "Sometimes"),
        ({"split": "test"}, "no split"),
    ],
)
def test_mistakes_are_value_errors_with_a_message(arguments, message):
    with pytest.raises(ValueError, match=message):
        evenkeel.make_vec(**{"scenario": "reference", **arguments})


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (4,)])
def test_actions_of_a_wrong_shape_are_refused(shape):
    envs = evenkeel.make_vec("reference", 2)
    envs.reset()
    with pytest.raises((ValueError, TypeError)):
        envs.step(np.zeros(shape))


def test_actions_may_be_any_numbers():
    envs = evenkeel.make_vec("reference", 2)
    same = evenkeel.make_vec("reference", 2)
    envs.reset(seed=1)
    same.reset(seed=1)
    wild = np.array([[5.0, np.nan], [-np.inf, 0.25]])
    tame = np.array([[1.0, 0.0], [-1.0, 0.25]], dtype=np.float32)
    for _ in range(5):
        assert data_equivalence(envs.step(wild)[:4], same.step(tame)[:4], exact=True)


def test_images_of_worlds():
    envs = evenkeel.make_vec("swap", 12, render_mode="rgb_array", render_size=200)
    envs.reset(seed=0)
    images = envs.render()
    assert len(images) == 2
    assert images[0].shape == (200, 200, 3) and images[0].dtype == np.uint8
    assert len(np.unique(images[0].reshape(-1, 3), axis=0)) > 20
    assert evenkeel.make_vec("reference", 1).render() is None


def test_a_scenario_may_have_further_reward_terms():
    settings = {"reward.path_progress": {"scale": 0.5}}
    envs = evenkeel.make_vec("reference", 2, settings=settings)
    assert envs.scenario.reward_terms[-1] == "path_progress"
    envs.reset(seed=0)
    _, rewards, _, _, infos = envs.step(envs.action_space.sample())
    terms = infos["reward_terms"]
    assert list(terms) == envs.scenario.reward_terms
    assert np.allclose(sum(terms.values()), rewards, atol=1e-5)
