"""Reading of run folders."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import needs

import evenkeel

INFO = {
    "format": 1,
    "scenario": "open_field",
    "arm": "clipped",
    "seed": 3,
    "status": "finished",
    "global_step": 200,
    "total_steps": 200,
    "wall_secs": 1.5,
    "started": "2026-03-01T10:15:00Z",
    "versions": {"evenkeel": "0.1.0", "libtorch": None},
    "command_line": ["evenkeel", "train", "open_field"],
    "machine": {"os": "linux", "arch": "x86_64", "cpu": None, "cores": 2},
}


@pytest.fixture
def run_folder(tmp_path, request):
    """A run with two optimiser steps, of which one has a gradient that is not finite."""
    (tmp_path / "run.json").write_text(json.dumps(INFO))
    (tmp_path / "config.toml").write_text(evenkeel.Scenario("open_field").to_toml())
    step = {
        "event": "step",
        "global_step": 100,
        "optimiser_step": 0,
        "grad_norm": 2.5,
        "grad_nonfinite": 0,
        "clip": [
            {
                "stage": "global_norm",
                "norm_before": 2.5,
                "norm_after": 0.5,
                "acted": True,
                "threshold": 0.5,
            }
        ],
    }
    bad = {**step, "optimiser_step": 1, "grad_norm": None, "grad_nonfinite": 7, "clip": []}
    lines = [json.dumps(event) for event in (step, bad)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_a_run_is_read(run_folder):
    run = evenkeel.read_run(run_folder)
    assert run.name == run_folder.name
    assert run.info["arm"] == "clipped"
    assert run.settings["robot"][0]["lidar"]["beams"] == 64
    assert run.updates["global_step"].tolist() == [100, 100]
    assert run.updates["optimiser_step"].tolist() == [0, 1]
    assert np.array_equal(run.updates["grad_norm"], [2.5, np.nan], equal_nan=True)
    assert run.updates["clipped"].tolist() == [1.0, 0.0]
    assert run.updates["clip_threshold"][0] == 0.5
    assert run.iterations["charts/success_rate"].shape == (0,)
    assert len(run.events_of("step")) == 2 and run.events_of("health") == []
    assert run.evaluation is None and run.incidents == []


@needs("pandas")
def test_tables_for_pandas(run_folder):
    frame = evenkeel.read_run(run_folder).to_pandas("updates")
    assert frame["grad_norm"].isna().tolist() == [False, True]


@needs("polars")
def test_tables_for_polars(run_folder):
    frame = evenkeel.read_run(run_folder).to_polars("updates")
    assert frame["optimiser_step"].to_list() == [0, 1]


def test_an_unknown_table_is_refused(run_folder):
    with pytest.raises(ValueError, match="iterations, updates, evaluations"):
        evenkeel.read_run(run_folder)._table("steps")


def test_errors_of_runs(tmp_path, run_folder):
    with pytest.raises(OSError, match="is not a run directory"):
        evenkeel.read_run(tmp_path / "none")
    (run_folder / "run.json").write_text("{")
    with pytest.raises(ValueError, match=r"run.json: EOF"):
        evenkeel.read_run(run_folder)
