"""Adapters for trainers, and the example scripts for a few iterations.

They need the trainers' packages, which need PyTorch; without them the tests are skipped.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import needs

import evenkeel

EXAMPLES = Path(__file__).parent.parent / "examples"
SHORT = {"task.time_limit_secs": 1.0}
STANDING = np.tile(np.array([-1.0, 0.0], dtype=np.float32), (3, 1))

ADAPTERS = ["stable_baselines3", "rsl_rl", "torch", "pettingzoo", "tensordict"]


def test_importing_the_package_imports_no_trainer():
    code = f"import sys, evenkeel; assert not set({ADAPTERS}) & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@needs("stable_baselines3")
def test_sb3_gets_what_it_expects():
    from evenkeel.sb3 import make_sb3

    envs = make_sb3("reference", 3, settings=SHORT, render_mode="rgb_array", render_size=100)
    same = evenkeel.make_vec("reference", 3, settings=SHORT)
    envs.seed(5)
    assert np.array_equal(envs.reset(), same.reset(seed=5)[0])
    for _ in range(10):
        obs, rewards, dones, infos = envs.step(STANDING)
        expected = same.step(STANDING)
    assert np.array_equal(obs, expected[0]) and np.array_equal(rewards, expected[1])
    assert dones.all()
    for row, info in enumerate(infos):
        assert np.array_equal(info["terminal_observation"], expected[4]["final_obs"][row])
        assert info["TimeLimit.truncated"] and not info["is_success"]
        assert info["episode"]["l"] == 10
    assert envs.render().shape == (200, 200, 3)
    assert envs.get_attr("render_mode", [0, 2]) == ["rgb_array"] * 2
    with pytest.raises(ValueError, match="6 robots"):
        make_sb3("swap", 6)
    with pytest.raises(ValueError, match="SameStep"):
        make_sb3("reference", 2, autoreset_mode="NextStep")


@needs("stable_baselines3")
def test_checks_of_sb3_pass():
    import gymnasium
    from stable_baselines3.common.env_checker import check_env

    check_env(gymnasium.make("evenkeel/reference-v0", render_mode="rgb_array").unwrapped)


@needs("rsl_rl")
def test_rsl_rl_gets_what_it_expects():
    import torch

    from evenkeel.rsl_rl import make_rsl_rl

    envs = make_rsl_rl("reference", 3, settings=SHORT, seed=5)
    same = evenkeel.make_vec("reference", 3, settings=SHORT, seed=5)
    first, _ = same.reset()
    assert np.array_equal(envs.get_observations()["policy"].numpy(), first)
    for _ in range(10):
        obs, rewards, dones, extras = envs.step(torch.from_numpy(STANDING))
        expected = same.step(STANDING)
    assert np.array_equal(obs["policy"].numpy(), expected[0])
    assert np.array_equal(rewards.numpy(), expected[1])
    assert dones.tolist() == [1, 1, 1] and extras["time_outs"].all()
    assert extras["log"]["/outcome/time_limit"] == 1.0
    assert not envs.episode_length_buf.any()
    with pytest.raises(ValueError, match="6 robots"):
        make_rsl_rl("swap", 6)


@pytest.mark.parametrize(
    "example",
    [
        pytest.param("train_cleanrl.py", marks=needs("torch")),
        pytest.param("train_sb3.py", marks=needs("stable_baselines3")),
        pytest.param("train_rsl_rl.py", marks=needs("rsl_rl")),
    ],
)
def test_an_example_trains_for_a_few_iterations(example, tmp_path):
    command = [sys.executable, EXAMPLES / example, "--steps=512", "--num-envs=8", "--horizon=32"]
    result = subprocess.run(
        [*command, "--episodes=5"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "5 held-out episodes" in result.stdout
