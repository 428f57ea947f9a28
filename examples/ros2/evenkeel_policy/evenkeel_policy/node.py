"""A ROS 2 node that drives a robot with a policy of evenkeel.

Subscribes to `scan` (sensor_msgs/LaserScan), `odom` (nav_msgs/Odometry) and `goal_pose`
(geometry_msgs/PoseStamped in the frame of the odometry); publishes `cmd_vel`. It stops the robot at
the goal, when a message is too old, and when it ends.
"""

from __future__ import annotations

import math

import rclpy
from evenkeel.robot import RobotPolicy, ScanError
from geometry_msgs.msg import PoseStamped, Twist, TwistStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import LaserScan

from .commands import command, goal_in_robot_frame


class PolicyNode(Node):
    def __init__(self) -> None:
        super().__init__("evenkeel_policy")
        path = self.declare_parameter("policy", "policy.onnx").value
        self.policy = RobotPolicy(path)
        self.policy.max_scan_age_secs = self.declare_parameter("max_age_secs", 0.5).value
        self.goal_radius_m = self.declare_parameter("goal_radius_m", 0.3).value
        self.scan_yaw_rad = self.declare_parameter("scan_yaw_rad", 0.0).value
        self.stamped = self.declare_parameter("stamped", False).value
        self.frame = self.declare_parameter("frame", "base_link").value
        self.scan = self.odom = self.goal = None
        self.publisher = self.create_publisher(
            TwistStamped if self.stamped else Twist, "cmd_vel", 10
        )
        sensors = qos_profile_sensor_data
        self.create_subscription(LaserScan, "scan", lambda m: setattr(self, "scan", m), sensors)
        self.create_subscription(Odometry, "odom", lambda m: setattr(self, "odom", m), sensors)
        self.create_subscription(PoseStamped, "goal_pose", self.start, 10)
        self.create_timer(self.policy.control_step_secs, self.step)

    def start(self, goal: PoseStamped) -> None:
        self.policy.reset()
        self.goal = goal

    def step(self) -> None:
        if self.goal is None:
            return
        speed = turn_rate = 0.0
        if self.scan is None or self.odom is None:
            self.get_logger().warning("no scan or no odometry yet", throttle_duration_sec=2.0)
        elif math.hypot(*goal_in_robot_frame(self.odom, self.goal)) < self.goal_radius_m:
            self.get_logger().info("goal reached")
            self.goal = None
        else:
            now = self.get_clock().now().nanoseconds * 1e-9
            try:
                speed, turn_rate = command(
                    self.policy, self.scan, self.odom, self.goal, now, self.scan_yaw_rad
                )
            except ScanError as error:
                self.get_logger().warning(f"stopped: {error}", throttle_duration_sec=2.0)
        self.publish(speed, turn_rate)

    def publish(self, speed: float, turn_rate: float) -> None:
        message = TwistStamped() if self.stamped else Twist()
        twist = message
        if self.stamped:
            message.header.stamp = self.get_clock().now().to_msg()
            message.header.frame_id = self.frame
            twist = message.twist
        twist.linear.x, twist.angular.z = speed, turn_rate
        self.publisher.publish(message)


def main() -> None:
    rclpy.init()
    node = PolicyNode()
    try:
        rclpy.spin(node)
    except KeyboardInterrupt:
        pass
    finally:
        node.publish(0.0, 0.0)
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
