from glob import glob

from setuptools import setup

setup(
    name="evenkeel_policy",
    version="0.1.0",
    packages=["evenkeel_policy"],
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/evenkeel_policy"]),
        ("share/evenkeel_policy", ["package.xml"]),
        ("share/evenkeel_policy/launch", glob("launch/*.py")),
    ],
    install_requires=["setuptools"],
    entry_points={"console_scripts": ["policy_node = evenkeel_policy.node:main"]},
)
