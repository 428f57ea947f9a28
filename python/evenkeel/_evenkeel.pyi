"""The native part of the package."""

import os
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__version__: str

OUTCOMES: list[str]
"""Names of the outcomes of an episode, in the order of their numbers."""

class Scenario:
    """A checked scenario: a shipped one by its name, or a scenario file by its path.

    `settings` override values of the file, as `--set` does: `{"robot.0.lidar.beams": 128}`.

    Raises `ValueError` with the place in the file if anything is wrong.
    """

    def __new__(
        cls, name: str | os.PathLike[str], settings: dict[str, Any] | None = None
    ) -> Scenario: ...
    @property
    def name(self) -> str:
        """Name of a shipped scenario, or the stem of the file."""
    @property
    def title(self) -> str:
        """Title."""
    @property
    def description(self) -> str:
        """One sentence."""
    @property
    def robots(self) -> int:
        """Robots in each world."""
    @property
    def control_step_secs(self) -> float:
        """Length of a control step, seconds."""
    @property
    def time_limit_steps(self) -> int:
        """Longest episode, control steps."""
    @property
    def obs_dim(self) -> int:
        """Length of an observation."""
    @property
    def action_dim(self) -> int:
        """Length of an action."""
    @property
    def action_names(self) -> list[str]:
        """Names of the entries of an action."""
    @property
    def reward_terms(self) -> list[str]:
        """Names of the reward terms."""
    @property
    def obs_blocks(self) -> list[tuple[str, int, int]]:
        """Blocks of an observation: name, index of the first number, length."""
    @property
    def obs_low(self) -> NDArray[np.float32]:
        """Lower bounds of the observation, `[obs]`."""
    @property
    def obs_high(self) -> NDArray[np.float32]:
        """Upper bounds of the observation, `[obs]`."""
    def to_toml(self) -> str:
        """Return the text of a scenario file that reads as this scenario."""

def scenario_names() -> list[str]:
    """Return the names of the shipped scenarios, easiest first."""

_Ended = tuple[
    NDArray[np.int64],
    NDArray[np.int64],
    NDArray[np.float64],
    NDArray[np.int64],
    NDArray[np.float32],
]

class Environments:
    """Environments of one scenario, stepped together without the GIL. A row is a robot, N of them."""

    def __new__(
        cls,
        scenario: Scenario,
        num_envs: int,
        seed: int,
        threads: int,
        autoreset: Literal["SameStep", "NextStep", "Disabled"],
        split: Literal["train", "validation", "eval"] = "train",
    ) -> Environments: ...
    def reset(
        self,
        obs: NDArray[np.float32],
        seed: int | None = None,
        mask: NDArray[np.bool_] | None = None,
        episode: int | None = None,
    ) -> None:
        """Start episodes; write `obs`, `[N, obs]`."""
    def step(
        self, actions: NDArray[np.float32], obs: NDArray[np.float32]
    ) -> tuple[
        NDArray[np.float32],
        NDArray[np.bool_],
        NDArray[np.bool_],
        NDArray[np.float32],
        NDArray[np.bool_],
        _Ended | None,
    ]:
        """Make one control step with `actions`, `[N, act]`; write `obs`, `[N, obs]`.

        Returns rewards `[N]`, terminated `[N]`, truncated `[N]`, reward terms `[N, terms]`,
        inactive `[N]`, and what ended: rows, outcomes, returns and lengths `[ended]`, and last
        observations `[ended, obs]`.
        """
    def episodes(self) -> NDArray[np.uint64]:
        """Return the number of each row's episode, `[N]`."""
    def poses(self) -> NDArray[np.float32]:
        """Return each robot's position, metres, and heading, radians: `[N, 3]`."""
    def goals(self) -> NDArray[np.float32]:
        """Return position and radius of each robot's goal, metres: `[N, 3]`."""
    def state_hashes(self) -> NDArray[np.uint64]:
        """Return a hash of the bits of each row's world, `[N]`."""
    def render(self, row: int, max_side: int) -> NDArray[np.uint8]:
        """Return an image of a row's world, `[height, width, 3]`."""

def evaluate(
    policy: object,
    scenario: Scenario,
    episodes: int,
    seed: int,
    threads: int,
    name: str | None,
) -> str:
    """Evaluate a policy on held-out episodes; returns the report as JSON."""

def record(
    policy: object,
    scenario: Scenario,
    path: str | os.PathLike[str],
    episodes: int,
    seed: int,
    name: str | None,
) -> int:
    """Record held-out episodes in a file; returns the number of control steps."""

def read_recording(
    path: str | os.PathLike[str],
) -> tuple[dict[str, Any], list[str], list[dict[str, Any]]]:
    """Read a recording: header, faults, episodes."""

def read_run(
    path: str | os.PathLike[str],
) -> tuple[
    str,
    dict[str, NDArray[Any]],
    dict[str, NDArray[Any]],
    dict[str, NDArray[Any]],
]:
    """Read a run: JSON, and arrays of iterations, optimiser steps and evaluations."""

class RunLog:
    """A run's folder that is being written, with the detectors over it. Symptoms are JSON."""

    def __new__(
        cls,
        path: str,
        scenario: Scenario,
        arm: str,
        seed: int,
        total_steps: int,
        settings: str,
        layers: list[str],
        action_dim: int,
        initial_norm: float,
    ) -> RunLog: ...
    def update(self, report: dict[str, Any]) -> str: ...
    def episode(self, outcome: str, episodic_return: float, length: float) -> None: ...
    def iteration(self, metrics: dict[str, Any]) -> str: ...
    def evaluation(self, global_step: int, summary: str) -> None: ...
    def finish(self, evaluation: str | None = None, stopped: bool = False) -> None: ...
