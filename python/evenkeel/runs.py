"""Run folders and recordings that the program `evenkeel` has written."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenkeel import _evenkeel


@dataclass(frozen=True)
class Run:
    """A training run. `docs/metrics.md` defines every metric."""

    name: str
    """Name of the folder."""
    info: dict[str, Any]
    """`run.json`: scenario, arm, seed, status, steps, versions, machine."""
    settings: dict[str, Any]
    """`config.toml`: all settings of scenario and training."""
    iterations: dict[str, NDArray[Any]]
    """Metrics of the iterations, `[iterations]`, by the names that TensorBoard shows, such as
    `charts/success_rate`; also `iteration` and `global_step`. NaN where not measured."""
    updates: dict[str, NDArray[Any]]
    """Numbers of the optimiser steps, `[steps]`, such as `grad_norm`; also `optimiser_step` and
    `global_step`. NaN where not measured."""
    evaluations: dict[str, NDArray[Any]]
    """Metrics of the evaluations during training, `[evaluations]`; also `global_step`."""
    events: list[dict[str, Any]]
    """`metrics.jsonl`: every event; the key `event` is its kind. None stands for a number that is
    not finite."""
    evaluation: dict[str, Any] | None
    """The final evaluation of the best checkpoint, if there is one."""
    last_evaluation: dict[str, Any] | None
    """The evaluation of the last checkpoint in the same episodes, if there is one."""
    random_evaluation: dict[str, Any] | None
    """Random actions in the same episodes, if the run diverged."""
    incidents: list[Path]
    """Folders of the saved incidents."""
    recordings: list[Path]
    """Recordings of episodes."""

    def events_of(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of a kind, such as `step`, `iteration`, `health` or `guard`."""
        return [event for event in self.events if event["event"] == kind]

    def to_pandas(self, table: str = "iterations") -> Any:
        """Return `iterations`, `updates` or `evaluations` as a pandas `DataFrame`."""
        import pandas

        return pandas.DataFrame(self._table(table))

    def to_polars(self, table: str = "iterations") -> Any:
        """Return `iterations`, `updates` or `evaluations` as a polars `DataFrame`."""
        import polars

        return polars.DataFrame(self._table(table))

    def _table(self, name: str) -> dict[str, NDArray[Any]]:
        tables = {
            "iterations": self.iterations,
            "updates": self.updates,
            "evaluations": self.evaluations,
        }
        if name not in tables:
            raise ValueError(f"no table {name!r}; there are {', '.join(tables)}")
        return tables[name]


@dataclass(frozen=True)
class Episode:
    """An episode of a recording: T control steps of R robots, with M movers."""

    episode: int
    """Number of the episode."""
    outcome: str | None
    """How it ended; None if the recording was cut off before."""
    outcomes: list[str | None]
    """How each robot's part ended."""
    damaged: bool
    """Whether its steps end early because the file is damaged."""
    obs: NDArray[np.float32]
    """Observations before each step, `[T, R, obs]`; NaN for inactive robots."""
    action: NDArray[np.float32]
    """Actions, `[T, R, act]`; NaN for inactive robots."""
    action_mean: NDArray[np.float32]
    """Means of the action distribution before squashing, `[T, R, act]`; NaN if there is none."""
    action_std: NDArray[np.float32]
    """Standard deviations of the action distribution, `[T, R, act]`; NaN if there is none."""
    reward: NDArray[np.float32]
    """Rewards, `[T, R]`."""
    reward_terms: NDArray[np.float32]
    """Reward terms, `[T, R, terms]`, in the order of the header's `reward_terms`."""
    value: NDArray[np.float32]
    """The critic's values before each step, `[T, R]`; NaN without a critic."""
    inactive: NDArray[np.bool_]
    """Whether a robot's part had ended before the step, `[T, R]`."""
    pose: NDArray[np.float32]
    """x and y, metres, and heading, radians, before the first step and after each: `[T + 1, R, 3]`."""
    twist: NDArray[np.float32]
    """Speed ahead and to the left, m/s, and turn rate, rad/s: `[T + 1, R, 3]`."""
    clearance_m: NDArray[np.float32]
    """Distance to the nearest obstacle, mover or robot, metres: `[T + 1, R]`."""
    contact: NDArray[np.bool_]
    """Whether the robot touches anything, `[T + 1, R]`."""
    scan: NDArray[np.float32]
    """Lidar readings, metres: `[T + 1, R, beams]`."""
    movers: NDArray[np.float32]
    """x and y, metres, velocity along x and y, m/s, and radius, metres: `[T + 1, M, 5]`."""
    state_hash: NDArray[np.uint64]
    """Hash of the bits of the world's state, `[T + 1]`."""
    sampled_parameters: dict[str, float]
    """Physical parameters that were sampled from ranges for this episode."""

    def __len__(self) -> int:
        """Return the number of control steps, T."""
        return len(self.reward)


@dataclass(frozen=True)
class Recording:
    """A recording of episodes; `docs/recordings.md` describes the file."""

    scenario: str
    """Name of the scenario."""
    scenario_toml: str
    """The whole scenario, as a scenario file."""
    policy: str | None
    """Name of the run or planner that drove."""
    checkpoint: str | None
    """Name of the checkpoint; empty for a planner."""
    seed: int
    """Root seed."""
    split: str
    """Set of episodes: `eval`, held out, or `train`."""
    env: int
    """Environment of the set that the episodes are of."""
    robots: int
    """Robots in the world, R."""
    control_step_secs: float
    """Length of a control step, seconds."""
    obs_blocks: list[tuple[str, int, int]]
    """Blocks of an observation: name, index of the first number, length."""
    action_names: list[str]
    """Names of the entries of an action."""
    reward_terms: list[str]
    """Names of the reward terms."""
    build: str | None
    """The build that recorded."""
    faults: list[str]
    """What is wrong with the file, one phrase each; empty for a whole file."""
    episodes: list[Episode]
    """Its episodes."""


def read_run(path: str | os.PathLike[str]) -> Run:
    """Read a run's folder.

    Raises:
        OSError: If the folder is not a run, or a file cannot be read.
        ValueError: If a file has an unexpected format.
    """
    text, iterations, updates, evaluations = _evenkeel.read_run(path)
    contents = json.loads(text)
    return Run(
        name=contents["name"],
        info=contents["info"],
        settings=contents["settings"],
        iterations=iterations,
        updates=updates,
        evaluations=evaluations,
        events=contents["events"],
        evaluation=contents["evaluation"],
        last_evaluation=contents["last_evaluation"],
        random_evaluation=contents["random_evaluation"],
        incidents=[Path(incident) for incident in contents["incidents"]],
        recordings=[Path(recording) for recording in contents["recordings"]],
    )


def read_recording(path: str | os.PathLike[str]) -> Recording:
    """Read a recording. Of one that was cut off or is damaged, everything whole is read.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is not a recording.
    """
    header, faults, episodes = _evenkeel.read_recording(path)
    return Recording(**header, faults=faults, episodes=[Episode(**arrays) for arrays in episodes])
