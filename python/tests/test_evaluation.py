"""Evaluation of policies in Python on Rust's held-out episodes."""

from __future__ import annotations

import math

import numpy as np
import pytest

import evenkeel


def drive_to_goal(obs: np.ndarray) -> np.ndarray:
    """Turn to the goal, and drive where it is ahead: after 64 beams comes the goal's distance."""
    cos, sin = obs[:, 65], obs[:, 66]
    return np.stack([np.where(cos > 0.9, 1.0, -1.0), np.clip(2.0 * sin, -1.0, 1.0)], axis=1)


def test_a_function_is_evaluated():
    layout = {name: first for name, first, _ in evenkeel.Scenario("open_field").obs_blocks}
    assert layout["goal"] == 64
    result = evenkeel.evaluate(drive_to_goal, "open_field", episodes=50, seed=3)
    assert result.success == 1.0
    success = result["success rate"]
    assert success.value == 1.0 and success.high == 1.0
    # Wilson's interval of 50 of 50.
    z = 1.959963984540054
    assert math.isclose(success.low, 50 / (50 + z * z), rel_tol=1e-9)
    assert result.policy == "drive_to_goal" and result.scenario == "open_field"
    assert len(result.episodes) == 50
    assert {row["outcome"] for row in result.episodes} == {"goal"}
    lengths = [row["length"] for row in result.episodes]
    assert math.isclose(result["episode length"].value, np.mean(lengths))
    assert "success rate" in str(result) and "100.0 %" in str(result)
    with pytest.raises(KeyError, match="there are 'success rate'"):
        result["succes"]


def test_results_do_not_depend_on_threads_and_training_plays_other_episodes():
    one = evenkeel.evaluate(drive_to_goal, "reference", episodes=80, threads=1)
    two = evenkeel.evaluate(drive_to_goal, "reference", episodes=80, threads=3)
    other = evenkeel.evaluate(drive_to_goal, "reference", episodes=80, seed=1)
    assert one == two
    assert one.episodes != other.episodes


def test_a_planner_is_evaluated_by_its_name():
    planner = evenkeel.evaluate("planner:straight", "open_field", episodes=20)
    assert planner.policy == "planner:straight" and planner.success == 1.0
    with pytest.raises(ValueError, match="did you mean"):
        evenkeel.evaluate("planner:dwaa", "open_field", episodes=1)
    with pytest.raises(ValueError, match="expected planner:NAME"):
        evenkeel.evaluate("dwa", "open_field", episodes=1)


class Memory:
    """Counts the steps of each environment's episode."""

    def __init__(self) -> None:
        self.steps: dict[int, int] = {}
        self.episodes: list[int] = []
        self.longest = 0

    def begin_episode(self, env: int, episode: int) -> None:
        self.steps[env] = 0
        self.episodes.append(episode)

    def act(self, envs: np.ndarray, observations: np.ndarray) -> np.ndarray:
        assert len(envs) == len(observations)
        for env in envs.tolist():
            self.steps[env] += 1
            self.longest = max(self.longest, self.steps[env])
        return drive_to_goal(observations)


def test_a_policy_with_memory_is_told_of_new_episodes():
    policy = Memory()
    result = evenkeel.evaluate(policy, "open_field", episodes=100)
    assert sorted(policy.episodes) == list(range(100))
    assert policy.longest == max(row["length"] for row in result.episodes)


def test_an_exception_of_the_policy_ends_the_evaluation():
    calls = []

    def policy(obs: np.ndarray) -> np.ndarray:
        calls.append(len(obs))
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        evenkeel.evaluate(policy, "open_field", episodes=5)
    assert calls == [5]


@pytest.mark.parametrize("actions", [np.zeros((3, 2)), np.zeros(4), "no array", None])
def test_actions_of_a_wrong_shape_are_refused(actions):
    with pytest.raises((ValueError, TypeError)):
        evenkeel.evaluate(lambda obs: actions, "open_field", episodes=2)


def test_what_is_no_policy_is_refused():
    with pytest.raises(ValueError, match="expected a callable"):
        evenkeel.evaluate(3, "open_field", episodes=2)


def test_a_recorded_policy_is_read_back(tmp_path):
    path = tmp_path / "mine.mcap"
    steps = evenkeel.record(drive_to_goal, "movers", path, episodes=2, seed=5, name="mine")
    recording = evenkeel.read_recording(path)
    assert recording.policy == "mine" and recording.split == "eval" and recording.seed == 5
    assert recording.action_names == ["speed", "turn_rate"]
    assert [episode.episode for episode in recording.episodes] == [0, 1]
    assert sum(len(episode) for episode in recording.episodes) == steps
    evaluated = evenkeel.evaluate(drive_to_goal, "movers", episodes=2, seed=5)
    for episode, row in zip(recording.episodes, evaluated.episodes, strict=True):
        count = len(episode)
        assert (row["outcome"], row["length"]) == (episode.outcome, count)
        assert math.isclose(episode.reward.sum(dtype=np.float64), row["episodic_return"])
        assert np.array_equal(episode.action[:, 0], drive_to_goal(episode.obs[:, 0]).astype("f4"))
        assert episode.pose.shape == episode.twist.shape == (count + 1, 1, 3)
        assert episode.scan.shape == (count + 1, 1, 64)
        assert episode.movers.shape[::2] == (count + 1, 5) and episode.movers.shape[1] > 0
        assert np.isfinite(episode.pose).all() and np.isfinite(episode.movers).all()
        assert np.isnan(episode.value).all() and np.isnan(episode.action_mean).all()
        assert not episode.inactive.any()


def test_errors_of_recordings(tmp_path):
    with pytest.raises(OSError, match="no_such.mcap"):
        evenkeel.read_recording(tmp_path / "no_such.mcap")
    other = tmp_path / "other.mcap"
    other.write_bytes(b"something else")
    with pytest.raises(ValueError, match="not a recording"):
        evenkeel.read_recording(other)
    with pytest.raises(OSError, match="folder"):
        evenkeel.record("planner:straight", "open_field", tmp_path / "no" / "folder" / "a.mcap")
