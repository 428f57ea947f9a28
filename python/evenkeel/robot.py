"""Drives a robot with a policy that `evenkeel export-policy` has written.

This file needs numpy and onnxruntime only, and may be copied to a robot by itself.

    policy = RobotPolicy("policy.onnx")
    command = policy.act(scan, twist=(0.4, 0.1), goal=(2.0, -0.5))   # m/s, rad/s

Call `act` once per control step (`policy.control_step_secs`), and `reset` when a new goal is given.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LaserScan", "RobotPolicy", "ScanError"]

# Two bearings that differ by less are the same beam, radians.
_SAME_BEARING = 1e-4


class ScanError(ValueError):
    """A scan that the policy must not act on: too old, too short, or of another shape."""


@dataclass(frozen=True)
class LaserScan:
    """One lidar scan, with the fields of ROS's `sensor_msgs/LaserScan`.

    Beam `i` points at `angle_min + i * angle_increment` in the sensor's frame, radians
    counter-clockwise from straight ahead. Readings are metres; a reading that is infinite, NaN, 0, or
    outside `range_min` and `range_max` means that the beam hit nothing.
    """

    angle_min: float
    angle_increment: float
    ranges: Sequence[float] | NDArray[np.floating[Any]]
    range_min: float = 0.0
    range_max: float = math.inf
    angle_max: float | None = None
    """Bearing of the last beam, radians, if known; the number of readings is checked against it."""
    stamp_secs: float | None = None
    """Time at which it was taken, seconds."""
    yaw_rad: float = 0.0
    """Direction of the sensor in the robot's frame, radians counter-clockwise."""


class RobotPolicy:
    """A policy from an ONNX file, fed with what a robot has.

    Raises `ValueError` if the file is not a policy that evenkeel exported, or reads the block `path`,
    which needs the simulator's mapping.
    """

    def __init__(self, path: str, *, max_scan_age_secs: float = 0.5) -> None:
        import onnxruntime

        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        custom = self._session.get_modelmeta().custom_metadata_map
        metadata = {key: value for key, value in custom.items() if key.startswith("evenkeel.")}
        if "evenkeel.observation" not in metadata:
            raise ValueError(
                f"{path}: the file has no metadata of evenkeel; write it with `evenkeel export-policy`"
            )
        if metadata["evenkeel.format"] != "1":
            raise ValueError(
                f"{path}: the metadata have format {metadata['evenkeel.format']}, this module reads 1"
            )
        self.metadata: dict[str, str] = metadata
        """`metadata_props` of the file whose names begin with `evenkeel.`."""
        self.actions: list[dict[str, Any]] = json.loads(metadata["evenkeel.actions"])
        """For each command its `name`, `unit`, and bounds `low` and `high`."""
        self.control_step_secs = float(metadata["evenkeel.control_step_secs"])
        """Time between two calls of `act`, seconds."""
        self.max_scan_age_secs = max_scan_age_secs
        """Older scans are refused, seconds."""

        self._blocks: list[dict[str, Any]] = json.loads(metadata["evenkeel.observation"])
        if any(block["name"] == "path" for block in self._blocks):
            raise ValueError(
                f"{path}: the policy observes the block `path`, a path on a map that the simulator "
                "makes; train one with observation.blocks = ['lidar', 'goal', 'velocity']"
            )
        lidar = json.loads(metadata["evenkeel.lidar"])
        self._sectors = int(lidar["sectors"])
        yaw = _largest(lidar["yaw_rad"])
        bearings = np.linspace(
            lidar["first_bearing_rad"], lidar["last_bearing_rad"], int(lidar["beams"])
        )
        self._bearings = bearings + yaw
        self._range = _largest(lidar["range_m"])
        shown = json.loads(metadata["evenkeel.goal_shown_secs"])
        self._goal_steps = (
            math.inf if shown is None else max(1, round(shown / self.control_step_secs))
        )
        stack = 1 + max(block["control_steps_ago"] for block in self._blocks)
        self._history: deque[dict[str, NDArray[np.float32]]] = deque(maxlen=stack)
        self._low = np.array([action["low"] for action in self.actions])
        self._high = np.array([action["high"] for action in self.actions])
        self._state: dict[str, NDArray[np.float32]] = {}
        self.reset()

    def reset(self) -> None:
        """Forget all earlier control steps: call it when a new goal is given."""
        self._history.clear()
        self._steps = 0
        self._previous_action = np.zeros(len(self.actions), dtype=np.float32)
        self._state = {
            value.name: np.zeros((1, 1, value.shape[2]), dtype=np.float32)
            for value in self._session.get_inputs()
            if value.name != "obs"
        }

    def lidar(self, scan: LaserScan) -> NDArray[np.float64]:
        """Return the readings of the policy's beams, `[beams]` metres, from a scan of any number of beams.

        A beam of the policy reads the nearest of the scan's beams that lie within half of the angle
        between two of its own, and where there is none the beam that is nearest in angle. A sensor
        that is mounted elsewhere on the robot than in training is not corrected for.

        Raises `ScanError` if the scan does not cover the policy's field of view.
        """
        ranges = np.asarray(scan.ranges, dtype=np.float64)
        if ranges.ndim != 1 or len(ranges) == 0:
            raise ScanError(f"the scan's readings have shape {ranges.shape}, not one per beam")
        if scan.angle_max is not None and len(ranges) > 1:
            expected = round((scan.angle_max - scan.angle_min) / scan.angle_increment) + 1
            # Some drivers count the first beam of a full circle twice.
            if abs(len(ranges) - expected) > 1:
                raise ScanError(
                    f"the scan has {len(ranges)} readings, and its angles say {expected}"
                )
        nothing = ~np.isfinite(ranges) | (ranges <= max(scan.range_min, 0.0))
        nothing |= ranges > scan.range_max
        ranges = np.minimum(np.where(nothing, self._range, ranges), self._range)
        indices = np.arange(len(ranges))
        bearings = scan.angle_min + scan.angle_increment * indices + scan.yaw_rad
        # [beams of the policy, beams of the scan], in (-pi, pi]
        apart = np.abs(_wrap(self._bearings[:, None] - bearings[None, :]))
        step = abs(scan.angle_increment)
        spacing = self._bearings[1] - self._bearings[0] if len(self._bearings) > 1 else step
        half = abs(spacing) / 2
        nearest = apart.argmin(axis=1)
        gap = apart[np.arange(len(nearest)), nearest]
        # A gap below the spacing of either lidar is no gap in the field of view.
        if gap.max() > max(step, half) + _SAME_BEARING:
            uncovered = math.degrees(self._bearings[int(gap.argmax())])
            raise ScanError(
                f"the scan has no beam near {uncovered:.0f}°, where the policy looks; it covers "
                f"{math.degrees(step * (len(ranges) - 1)):.0f}°"
            )
        within = apart < half - _SAME_BEARING
        within[np.arange(len(nearest)), nearest] = True
        nearest_readings: NDArray[np.float64] = np.where(within, ranges[None, :], np.inf).min(
            axis=1
        )
        return nearest_readings

    def observe(
        self, scan: LaserScan, twist: Sequence[float], goal: Sequence[float]
    ) -> NDArray[np.float32]:
        """Return the observation `[obs]` for one control step; see `act`."""
        if len(twist) != len(self.actions):
            names = ", ".join(action["name"] for action in self.actions)
            raise ValueError(f"twist has {len(twist)} numbers; the policy's robot has {names}")
        readings = self.lidar(scan).reshape(self._sectors, -1).min(axis=1)
        x, y = (float(coordinate) for coordinate in goal)
        distance, bearing = math.hypot(x, y), math.atan2(y, x)
        shown = self._steps < self._goal_steps
        current = {
            "lidar": readings / (readings + 0.5),
            "goal": [distance / 10.0, math.cos(bearing), math.sin(bearing)] if shown else [0.0] * 3,
            "velocity": np.asarray(twist, dtype=np.float64) / self._high,
            "previous_action": self._previous_action,
        }
        arrays = {name: np.asarray(block, dtype=np.float32) for name, block in current.items()}
        self._history.appendleft(arrays)
        # The first control step of an episode fills the whole stack.
        while len(self._history) < (self._history.maxlen or 1):
            self._history.append(arrays)
        blocks = [
            self._history[block["control_steps_ago"]][block["name"]] for block in self._blocks
        ]
        return np.concatenate(blocks)

    def act(
        self,
        scan: LaserScan,
        twist: Sequence[float],
        goal: Sequence[float],
        *,
        now_secs: float | None = None,
    ) -> NDArray[np.float64]:
        """Return the command for the next control step, in the units of `actions`.

        scan: the newest scan.
        twist: what the wheels do now, from odometry, in the order and units of `actions`: for a
            differential drive forward speed, m/s, and turn rate, rad/s.
        goal: position of the goal in the robot's frame, metres: x ahead, y to the left.
        now_secs: the time now; with it, a scan older than `max_scan_age_secs` is refused.

        Raises `ScanError` if the scan is too old or does not fit, `ValueError` if `twist` has another
        length. The robot should stop then.
        """
        if now_secs is not None and scan.stamp_secs is not None:
            age = now_secs - scan.stamp_secs
            if age > self.max_scan_age_secs:
                raise ScanError(
                    f"the scan is {age:.2f} s old; the limit is {self.max_scan_age_secs} s"
                )
        observation = self.observe(scan, twist, goal)
        inputs = {"obs": observation[None, :], **self._state}
        names = [value.name for value in self._session.get_outputs()]
        outputs = dict(zip(names, self._session.run(names, inputs), strict=True))
        self._state = {name: outputs[name.replace("_in", "_out")] for name in self._state}
        command: NDArray[np.float64] = outputs["actions"][0].astype(np.float64)
        span = self._high - self._low
        action = np.divide(2 * (command - self._low), span, out=np.ones_like(span), where=span > 0)
        self._previous_action = (action - 1).astype(np.float32)
        self._steps += 1
        return command


def _largest(quantity: float | dict[str, list[float]]) -> float:
    """Return a number of a scenario, or the upper end of what it is drawn from."""
    return float(quantity["uniform"][1] if isinstance(quantity, dict) else quantity)


def _wrap(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return angles in [-pi, pi)."""
    return (angle + math.pi) % (2 * math.pi) - math.pi
