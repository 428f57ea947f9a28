"""Runs exported policies in onnxruntime and compares their commands with evenkeel's.

For each FOLDER/NAME.json there is a FOLDER/NAME.onnx. The JSON file has observations
[steps][rows][obs] and the commands [steps][rows][act] that evenkeel computed for them.
"""

import json
import sys
from pathlib import Path

import numpy
import onnx
import onnxruntime

worst = 0.0
for case in sorted(Path(sys.argv[1]).glob("*.json")):
    expected = json.loads(case.read_text())
    path = case.with_suffix(".onnx")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    operators = {node.op_type for node in model.graph.node}
    memory = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}.get(expected["memory"])
    assert memory is None or memory in operators, (case.stem, operators)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert [block["name"] for block in json.loads(metadata["evenkeel.observation"])][0] == "lidar"

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = {value.name: value.shape for value in session.get_inputs()}
    observations = numpy.array(expected["observations"], dtype=numpy.float32)
    commands = numpy.array(expected["commands"], dtype=numpy.float32)
    rows = observations.shape[1]
    state = {
        name: numpy.zeros((1, rows, shape[2]), dtype=numpy.float32)
        for name, shape in inputs.items()
        if name != "obs"
    }
    assert set(state) == {None: set(), "LSTM": {"h_in", "c_in"}}.get(memory, {"h_in"}), state.keys()
    found = []
    for step in observations:
        outputs = session.run(None, {"obs": step, **state})
        by_name = dict(zip([value.name for value in session.get_outputs()], outputs))
        found.append(by_name["actions"])
        state = {name: by_name[name.replace("_in", "_out")] for name in state}
    apart = float(numpy.abs(numpy.array(found) - commands).max())
    assert apart <= 1e-5, f"{case.stem}: commands differ by {apart}"
    worst = max(worst, apart)
    print(f"{case.stem}: {apart:.1e}")
print(f"worst: {worst:.1e}")
