"""Policies on held-out episodes: the figures of `evenkeel eval`, and recordings."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evenkeel import _evenkeel
from evenkeel._evenkeel import Scenario


class PolicyWithMemory(Protocol):
    """A policy that keeps something from one control step to the next."""

    def begin_episode(self, env: int, episode: int) -> None:
        """Forget all of the last episode of environment `env`."""

    def act(self, envs: NDArray[np.int64], observations: NDArray[np.float32]) -> ArrayLike:
        """Return actions `[n, act]` for `observations`, `[n, obs]`; row i is of `envs[i]`."""


Policy: TypeAlias = Callable[[NDArray[np.float32]], ArrayLike] | PolicyWithMemory | str
"""A function from observations `[n, obs]` to actions `[n, act]`, where n varies; an object with
memory; or the name of a planner, such as `"planner:dwa"`."""


@dataclass(frozen=True)
class Metric:
    """A metric over the episodes of an evaluation."""

    name: str
    """Name, as in tables."""
    unit: str
    """Unit; empty for a plain number and for a share."""
    value: float | None
    """Mean over the episodes; None if it was not measured."""
    low: float | None
    """Lower end of the 95 % interval; None with fewer than five values."""
    high: float | None
    """Upper end of the 95 % interval."""


@dataclass(frozen=True)
class Evaluation:
    """Results of a policy on held-out episodes. `print` shows the table of `evenkeel eval`."""

    scenario: str
    """Name of the scenario."""
    policy: str
    """Name of the policy."""
    seed: int
    """Root seed of the episodes."""
    metrics: tuple[Metric, ...]
    """All metrics, in the order of tables."""
    episodes: tuple[dict[str, Any], ...]
    """Results of each robot in each episode: outcome, return, length, path, clearance, …"""
    summary: dict[str, Any]
    """The metrics as in `evaluation.json`."""
    table: str
    """The displayed metrics as text."""
    report: str
    """All of it as JSON: the content of a run's `evaluation.json`."""

    @property
    def success(self) -> float:
        """Share of the episodes that reached the goal."""
        return float(self.summary["success"]["value"])

    def __getitem__(self, name: str) -> Metric:
        """Return the metric of a name, such as `"success rate"`."""
        for metric in self.metrics:
            if metric.name == name:
                return metric
        names = ", ".join(repr(metric.name) for metric in self.metrics)
        raise KeyError(f"no metric {name!r}; there are {names}")

    def __str__(self) -> str:
        return self.table


def evaluate(
    policy: Policy,
    scenario: str | os.PathLike[str],
    episodes: int = 1000,
    seed: int = 0,
    *,
    settings: dict[str, Any] | None = None,
    threads: int = 0,
    name: str | None = None,
) -> Evaluation:
    """Evaluate a policy on held-out episodes, with the figures and intervals of `evenkeel eval`.

    Args:
        policy: A function from observations `[n, obs]` to actions `[n, act]` in [-1, 1], where n
            varies; or the name of a planner, such as `"planner:dwa"`; or an object with the methods
            of `PolicyWithMemory`.
        scenario: Name of a shipped scenario, or path of a scenario file.
        episodes: Number of episodes: 0 to `episodes` − 1 of `seed`, which training never plays.
        seed: Root seed of the episodes.
        settings: Overrides of the scenario.
        threads: Number of threads; 0 means one per core. Results do not depend on it.
        name: Name of the policy in the results.
    """
    text = _evenkeel.evaluate(policy, Scenario(scenario, settings), episodes, seed, threads, name)
    report = json.loads(text)
    return Evaluation(
        scenario=report["scenario"],
        policy=report["policy"],
        seed=report["seed"],
        metrics=tuple(_metric(row) for row in report["metrics"]),
        episodes=tuple(report["episodes"]),
        summary=report["summary"],
        table=_table(report),
        report=text,
    )


def record(
    policy: Policy,
    scenario: str | os.PathLike[str],
    path: str | os.PathLike[str],
    episodes: int = 10,
    seed: int = 0,
    *,
    settings: dict[str, Any] | None = None,
    name: str | None = None,
) -> int:
    """Record held-out episodes of a policy in an MCAP file; return the number of control steps.

    `evenkeel replay FILE` shows the file, and `read_recording` reads it. The arguments are those of
    `evaluate`, except `path`, the file.
    """
    return _evenkeel.record(policy, Scenario(scenario, settings), path, episodes, seed, name)


def _metric(row: dict[str, Any]) -> Metric:
    average = row["average"] or {}
    return Metric(
        name=row["name"],
        unit=row["unit"],
        value=average.get("value"),
        low=average.get("low"),
        high=average.get("high"),
    )


def _table(report: dict[str, Any]) -> str:
    """Write the displayed metrics with their intervals, one a line."""
    rows = [
        [row["name"], *(cell or "–" for cell in row["text"]), row["unit"]]
        for row in report["metrics"]
        if row["displayed"]
    ]
    rows.insert(0, ["", "value", "95 % from", "to", ""])
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        f"{name:<{widths[0]}}  {value:>{widths[1]}}  {low:>{widths[2]}}  {high:>{widths[3]}}  {unit}"
        for name, value, low, high, unit in rows
    ]
    count = report["summary"]["episodes"]
    head = f"{report['policy']} in {report['scenario']}, {count} held-out episodes, seed {report['seed']}"
    return "\n".join([head, *(line.rstrip() for line in lines)])
