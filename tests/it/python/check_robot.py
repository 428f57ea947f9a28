"""Feeds the scans and states of a recording to evenkeel.robot.RobotPolicy, and compares observations
and commands with those of the recording.

FOLDER/policy.onnx is the policy, and FOLDER/episodes.json the recording.
"""

import importlib.util
import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy

root = Path(__file__).resolve().parents[3]


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


sys.modules["evenkeel"] = SimpleNamespace()
robot = load("evenkeel.robot", root / "python/evenkeel/robot.py")
commands = load("commands", root / "examples/ros2/evenkeel_policy/evenkeel_policy/commands.py")

folder = Path(sys.argv[1])
recording = json.loads((folder / "episodes.json").read_text())
policy = robot.RobotPolicy(str(folder / "policy.onnx"))
first, last, max_range = recording["first_rad"], recording["last_rad"], recording["range_m"]
worst_observation = worst_command = 0.0
steps = 0


def scan_of(ranges, **changes):
    # How drivers report that a beam hit nothing.
    nothing = [math.inf, math.nan, 0.0]
    ranges = [nothing[i % 3] if r >= max_range else r for i, r in enumerate(ranges)]
    fields = {
        "angle_min": first,
        "angle_max": last,
        "angle_increment": (last - first) / (len(ranges) - 1),
        "ranges": ranges,
        "yaw_rad": recording["yaw_rad"],
    }
    return robot.LaserScan(**{**fields, **changes})


for episode in recording["episodes"]:
    policy.reset()
    for step in episode:
        observation = numpy.array(step["observation"], dtype=numpy.float32)
        distance, cos, sin = observation[recording["goal_first"] :][:3]
        goal = (10 * distance * cos, 10 * distance * sin)
        scan = scan_of(step["scan"])
        history = list(policy._history)
        built = policy.observe(scan, step["twist"], goal)
        policy._history.clear()
        policy._history.extend(history)
        worst_observation = max(worst_observation, float(numpy.abs(built - observation).max()))
        command = policy.act(scan, step["twist"], goal)
        worst_command = max(worst_command, float(numpy.abs(command - step["command"]).max()))
        steps += 1
assert steps > 100, steps
assert worst_observation <= 1e-5, worst_observation
assert worst_command <= 5e-5, worst_command

# Scans with other beams. The readings of a finer scan of a circle around the sensor are the same.
beams = len(recording["episodes"][0][0]["scan"])
fine = scan_of([2.0] * (4 * beams + 1), angle_increment=(last - first) / (4 * beams))
assert policy.lidar(fine).tolist() == [2.0] * beams
# A near thing between two of the policy's beams is not overlooked.
ranges = [2.0] * (4 * beams + 1)
ranges[4 * 7 + 1] = 0.3
seen = policy.lidar(scan_of(ranges, angle_increment=(last - first) / (4 * beams)))
assert (seen == 0.3).sum() == 1, seen
# A scan that runs clockwise is the same scan.
ranges = recording["episodes"][0][0]["scan"]
clockwise = scan_of(
    ranges[::-1], angle_min=last, angle_max=first, angle_increment=(first - last) / (beams - 1)
)
assert numpy.allclose(policy.lidar(clockwise), policy.lidar(scan_of(ranges)))


def refused(reason, call):
    try:
        call()
    except robot.ScanError as error:
        assert reason in str(error), error
    else:
        raise AssertionError(f"not refused: {reason}")


goal, twist = (1.0, 0.0), (0.0, 0.0)
half = scan_of(ranges[: beams // 2], angle_max=None, angle_increment=(last - first) / (beams - 1))
refused("no beam near", lambda: policy.act(half, twist, goal))
refused("its angles say", lambda: policy.act(scan_of(ranges[:-5], angle_increment=(last - first) / (beams - 1)), twist, goal))
refused("s old", lambda: policy.act(scan_of(ranges, stamp_secs=1.0), twist, goal, now_secs=2.0))
refused("shape", lambda: policy.act(scan_of([], angle_increment=0.1), twist, goal))
try:
    policy.act(scan_of(ranges), (0.0,), goal)
except ValueError as error:
    assert "speed, turn_rate" in str(error), error
else:
    raise AssertionError("a twist of one number was accepted")

# The ROS node's part without ROS: a robot at (1, 2) that looks along +y, and a goal at (1, 5).
stamp = SimpleNamespace(sec=10, nanosec=500_000_000)
header = SimpleNamespace(stamp=stamp)
quarter = SimpleNamespace(x=0.0, y=0.0, z=math.sin(math.pi / 4), w=math.cos(math.pi / 4))
pose = SimpleNamespace(position=SimpleNamespace(x=1.0, y=2.0), orientation=quarter)
twist = SimpleNamespace(linear=SimpleNamespace(x=0.2), angular=SimpleNamespace(z=0.1))
odom = SimpleNamespace(
    header=header, pose=SimpleNamespace(pose=pose), twist=SimpleNamespace(twist=twist)
)
target = SimpleNamespace(pose=SimpleNamespace(position=SimpleNamespace(x=1.0, y=5.0)))
assert numpy.allclose(commands.goal_in_robot_frame(odom, target), (3.0, 0.0))
message = SimpleNamespace(
    header=header,
    angle_min=first,
    angle_max=last,
    angle_increment=(last - first) / (beams - 1),
    ranges=ranges,
    range_min=0.0,
    range_max=max_range + 1,
)
yaw = recording["yaw_rad"]
policy.reset()
found = commands.command(policy, message, odom, target, 10.6, yaw)
policy.reset()
expected = policy.act(scan_of(ranges), (0.2, 0.1), (3.0, 0.0))
assert numpy.allclose(found, expected, atol=1e-6), (found, expected)
refused("odometry is", lambda: commands.command(policy, message, odom, target, 12.0, yaw))
print(f"{steps} steps: observations {worst_observation:.1e}, commands {worst_command:.1e}")
