#!/usr/bin/env python3
"""Checks that two builds of evenkeel compute the same bits.

    python3 tests/interop/same_bits.py BEFORE AFTER

BEFORE and AFTER are `evenkeel` programs. Both train, evaluate, record and export with the same
seeds; weights, optimiser state, logged figures, evaluations and trajectories are compared. Names
(of keys, tensors, policies) may differ, numbers may not; wall-clock figures are left out. Prints
one line per comparison and exits with 1 if any differs. Takes some minutes.
"""

import csv
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile

TRAININGS = {
    "reference": ["reference", "--steps", "200k"],
    "raw": ["reference", "--steps", "100k", "--arm", "raw"],
    "exploder": ["exploder", "--steps", "300k", "--arm", "unclipped"],
    "gru": ["movers", "--steps", "60k", "--set", "policy.memory={gru={size=32}}"],
    "robots": ["swap", "--steps", "60k"],
    "path": ["maze", "--steps", "30k"],
    "curriculum": ["reference", "--steps", "100k", "--arm", "by_difficulty"],
    "recorded": ["shift", "--steps", "60k", "--record-every", "1"],
}
PLANNERS = {
    "reference": ["straight", "random", "pursuit", "dwa"],
    "movers": ["orca", "dwa"],
    "slam_map": ["dwa"],
    "maze": ["dwa"],
    "rooms": ["pursuit"],
    "swap": ["orca"],
    "crossing_social": ["dwa"],
    "corridor": ["dwa"],
    "barn_like": ["dwa"],
}
WALL = re.compile(r"wall|elapsed|secs_total|started|steps_per_s|command_line|versions|machine|crc32c|format")


def numbers(value, skip=WALL):
    """The numbers, booleans and nulls of a JSON value, in order."""
    if isinstance(value, dict):
        for key, entry in value.items():
            if not skip.search(key):
                yield from numbers(entry, skip)
    elif isinstance(value, list):
        for entry in value:
            yield from numbers(entry, skip)
    elif not isinstance(value, str):
        yield value


def tensors(path):
    """Type, shape and hash of every tensor of a safetensors file, without the tensors' names."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    body = data[8 + length :]
    found = []
    for tensor in header.values():
        start, end = tensor["data_offsets"]
        digest = hashlib.sha256(body[start:end]).hexdigest()
        found.append((tensor["dtype"], tuple(tensor["shape"]), digest))
    return sorted(found)


class Build:
    """A program that runs in its own folder."""

    def __init__(self, program, folder):
        self.program = pathlib.Path(program).resolve()
        self.folder = pathlib.Path(folder)
        help_text = subprocess.run([self.program, "--help"], capture_output=True, text=True).stdout
        self.planner = "planner:" if "planner:NAME" in help_text else "driver:"

    def run(self, *args):
        done = subprocess.run(
            [self.program, *args], cwd=self.folder, capture_output=True, text=True, check=False
        )
        if done.returncode not in (0, 1):
            sys.exit(f"{self.program} {' '.join(args)}: {done.stderr}")
        return done.stdout

    def train(self, name, args):
        self.run("train", *args, "--seed", "7", "--out", name, "--episodes", "50", "--progress", "none")
        run = self.folder / name
        result = {}
        for path in sorted(run.rglob("*.safetensors")):
            result[f"{path.relative_to(run)}"] = tensors(path)
        log = (run / "metrics.jsonl").read_text().splitlines()
        result["metrics"] = [list(numbers(json.loads(line))) for line in log]
        evaluation = run / "evaluation.json"
        if evaluation.exists():
            result["evaluation"] = list(numbers(json.loads(evaluation.read_text())))
        for path in sorted((run / "recordings").glob("*.mcap")):
            result[path.name] = self.rows(path)
        return result

    def evaluate(self, policy, scenario):
        found = self.run(
            "eval", policy, "--scenario", scenario, "--episodes", "30", "--seed", "5", "--json"
        )
        return list(numbers(json.loads(found)))

    def record(self, policy, scenario):
        path = self.folder / "episodes.mcap"
        path.unlink(missing_ok=True)
        self.run("record", policy, "--scenario", scenario, "--episodes", "3", "--out", str(path))
        return self.rows(path)

    def rows(self, recording):
        table = self.folder / "rows.csv"
        table.unlink(missing_ok=True)
        self.run("export", str(recording), "--format", "csv", "--out", str(table))
        with table.open() as file:
            return list(csv.reader(file))[1:]


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    differing = 0

    def compare(what, before, after):
        nonlocal differing
        same = before == after
        differing += not same
        print(f"{'same' if same else 'DIFFERS'}  {what}  ({len(before)} values)", flush=True)

    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        builds = [Build(sys.argv[1], one), Build(sys.argv[2], other)]
        for name, args in TRAININGS.items():
            before, after = (build.train(name, args) for build in builds)
            if before.keys() != after.keys():
                differing += 1
                print(f"DIFFERS  train {name}: files {sorted(before.keys() ^ after.keys())}")
            for part in before.keys() & after.keys():
                compare(f"train {name}: {part}", before[part], after[part])
        for scenario, planners in PLANNERS.items():
            for planner in planners:
                found = [build.evaluate(build.planner + planner, scenario) for build in builds]
                compare(f"eval {planner} in {scenario}", *found)
            found = [build.record(build.planner + planners[-1], scenario) for build in builds]
            compare(f"record {planners[-1]} in {scenario}", *found)
        found = [build.record("reference", "movers") for build in builds]
        compare("record a policy in movers", *found)
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
