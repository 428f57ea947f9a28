"""What the node does with messages, without ROS: tested against plain dataclasses."""

from __future__ import annotations

import math
from typing import Any

from evenkeel.robot import LaserScan, RobotPolicy, ScanError


def seconds(stamp: Any) -> float:
    """A `builtin_interfaces/Time` in seconds."""
    return stamp.sec + stamp.nanosec * 1e-9


def yaw(orientation: Any) -> float:
    """The heading of a `geometry_msgs/Quaternion`, radians counter-clockwise."""
    q = orientation
    return math.atan2(2 * (q.w * q.z + q.x * q.y), 1 - 2 * (q.y * q.y + q.z * q.z))


def goal_in_robot_frame(odom: Any, goal: Any) -> tuple[float, float]:
    """The goal's position in the robot's frame, metres, from a `nav_msgs/Odometry` and a
    `geometry_msgs/PoseStamped` in the frame of the odometry."""
    pose = odom.pose.pose
    x, y = goal.pose.position.x - pose.position.x, goal.pose.position.y - pose.position.y
    heading = yaw(pose.orientation)
    return (
        x * math.cos(heading) + y * math.sin(heading),
        y * math.cos(heading) - x * math.sin(heading),
    )


def command(
    policy: RobotPolicy, scan: Any, odom: Any, goal: Any, now_secs: float, scan_yaw_rad: float = 0.0
) -> tuple[float, float]:
    """Forward speed, m/s, and turn rate, rad/s, from a `sensor_msgs/LaserScan`, a
    `nav_msgs/Odometry` and a `geometry_msgs/PoseStamped`.

    Raises `evenkeel.robot.ScanError` if the scan or the odometry is too old or does not fit.
    """
    age = now_secs - seconds(odom.header.stamp)
    if age > policy.max_scan_age_secs:
        raise ScanError(f"the odometry is {age:.2f} s old; the limit is {policy.max_scan_age_secs} s")
    readings = LaserScan(
        angle_min=scan.angle_min,
        angle_max=scan.angle_max,
        angle_increment=scan.angle_increment,
        ranges=scan.ranges,
        range_min=scan.range_min,
        range_max=scan.range_max,
        stamp_secs=seconds(scan.header.stamp),
        yaw_rad=scan_yaw_rad,
    )
    twist = odom.twist.twist
    speed, turn_rate = policy.act(
        readings,
        twist=(twist.linear.x, twist.angular.z),
        goal=goal_in_robot_frame(odom, goal),
        now_secs=now_secs,
    )
    return float(speed), float(turn_rate)
