"""ros2 launch evenkeel_policy policy.launch.py policy:=/path/policy.onnx"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node


def generate_launch_description() -> LaunchDescription:
    names = {"policy": "policy.onnx", "stamped": "false", "scan_yaw_rad": "0.0"}
    arguments = [DeclareLaunchArgument(name, default_value=value) for name, value in names.items()]
    node = Node(
        package="evenkeel_policy",
        executable="policy_node",
        parameters=[{name: LaunchConfiguration(name) for name in names}],
        output="screen",
    )
    return LaunchDescription([*arguments, node])
