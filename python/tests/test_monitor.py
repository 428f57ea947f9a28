"""The monitor of a PyTorch training, against numbers that torch computes by itself."""

import json
import math

import pytest

import evenkeel

torch = pytest.importorskip("torch")


class Agent(torch.nn.Module):
    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.actor = torch.nn.Sequential(
            torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2)
        )
        self.critic = torch.nn.Sequential(
            torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1)
        )
        self.logstd = torch.nn.Parameter(torch.zeros(2))
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)


def step(agent, optimizer, monitor, scale=1.0, clip=0.5):
    obs = torch.linspace(-1, 1, 40).reshape(10, 4)
    policy_loss = (agent.actor(obs) * agent.logstd.exp()).square().mean() * scale
    value_loss = (agent.critic(obs) - 1).square().mean() * scale
    optimizer.zero_grad()
    (policy_loss + value_loss).backward()
    norm = monitor.before_step(clip=clip)
    optimizer.step()
    return norm, monitor.after_step(policy_loss=policy_loss, value_loss=value_loss, kl=0.01)


def test_the_log_has_what_torch_computes(tmp_path):
    agent, other = Agent(), Agent()
    optimizer, theirs = (torch.optim.SGD(a.parameters(), lr=0.1) for a in (agent, other))
    monitor = evenkeel.Monitor(
        agent, optimizer, tmp_path / "run", scenario="open_field", arm="clipped", seed=3
    )
    expected = []
    for _ in range(5):
        obs = torch.linspace(-1, 1, 40).reshape(10, 4)
        loss = (other.actor(obs) * other.logstd.exp()).square().mean()
        loss = loss + (other.critic(obs) - 1).square().mean()
        theirs.zero_grad()
        loss.backward()
        before = torch.cat([p.detach().flatten().clone() for p in other.parameters()])
        norm = float(torch.nn.utils.clip_grad_norm_(other.parameters(), 0.5))
        theirs.step()
        after = torch.cat([p.detach().flatten() for p in other.parameters()])
        expected.append((norm, float((after - before).norm() / before.norm()), float(after.norm())))
        step(agent, optimizer, monitor)
    # The clip is torch's, bit for bit or nearly so.
    for ours, theirs_parameter in zip(agent.parameters(), other.parameters()):
        assert torch.allclose(ours, theirs_parameter, atol=1e-6)
    monitor.episode(True, episodic_return=2.0, length=50)
    monitor.episode(False, episodic_return=-1.0, length=150, outcome="collision_static")
    monitor.iteration(640)
    monitor.close()

    run = evenkeel.read_run(tmp_path / "run")
    assert run.info["status"] == "finished" and run.info["arm"] == "clipped"
    assert run.updates["optimiser_step"].tolist() == [0, 1, 2, 3, 4]
    for index, (norm, ratio, size) in enumerate(expected):
        assert run.updates["grad_norm"][index] == pytest.approx(norm, rel=1e-5)
        assert run.updates["update_ratio"][index] == pytest.approx(ratio, rel=1e-4)
        assert run.updates["param_norm"][index] == pytest.approx(size, rel=1e-5)
        assert run.updates["clipped"][index] == (norm > 0.5)
    first = run.events_of("step")[0]
    actor, critic = first["grad_norm_actor"], first["grad_norm_critic"]
    assert math.hypot(actor, critic) == pytest.approx(first["grad_norm"], rel=1e-6)
    iteration = run.events_of("iteration")[0]
    assert iteration["success_rate"] == 0.5 and iteration["episodes"] == 2
    assert iteration["learning_rate"] == pytest.approx(0.1)
    layers = {layer["name"]: layer for layer in iteration["layers"]}
    assert "saturated" in layers["actor.0.weight"] and "dormant" in layers["critic.0.weight"]
    assert "actor.logstd" in layers


def test_detectors_report_while_training_goes_on(tmp_path, caplog):
    agent = Agent()
    optimizer = torch.optim.SGD(agent.parameters(), lr=1e-3)
    with evenkeel.Monitor(agent, optimizer, tmp_path / "run", scenario="open_field") as monitor:
        quiet = [step(agent, optimizer, monitor, clip=None)[1] for _ in range(150)]
        assert not any(quiet), quiet
        with caplog.at_level("WARNING", logger="evenkeel"):
            _, symptoms = step(agent, optimizer, monitor, scale=1000.0, clip=None)
        assert "gradient_spike" in [symptom.name for symptom in symptoms]
        assert "gradient spike" in caplog.text
        with torch.no_grad():
            agent.logstd[0] = math.nan
        _, symptoms = step(agent, optimizer, monitor, clip=None)
        assert symptoms[0].severity == "critical"
    run = evenkeel.read_run(tmp_path / "run")
    assert run.info["status"] == "diverged"
    assert run.events_of("diverged")[0]["reason"] == "non_finite_loss"


def test_dead_units_are_counted_by_hooks(tmp_path):
    agent = Agent()
    with torch.no_grad():
        agent.critic[0].bias[:4] = -100.0
    optimizer = torch.optim.SGD(agent.parameters(), lr=1e-3)
    with evenkeel.Monitor(agent, optimizer, tmp_path / "run", scenario="open_field") as monitor:
        step(agent, optimizer, monitor)
        monitor.iteration(64)
        # Measuring leaves no hook behind, and changes no output.
    layers = evenkeel.read_run(tmp_path / "run").events_of("iteration")[0]["layers"]
    dormant = {layer["name"]: layer.get("dormant") for layer in layers}
    assert dormant["critic.0.weight"] >= 0.5
    assert not agent.critic[1]._forward_hooks


def test_an_evaluation_ends_the_run(tmp_path):
    agent = Agent()
    optimizer = torch.optim.SGD(agent.parameters(), lr=1e-3)
    result = evenkeel.evaluate("planner:straight", "open_field", episodes=20)
    with evenkeel.Monitor(
        agent, optimizer, tmp_path / "run", scenario="open_field", settings={"learning_rate": 1e-3}
    ) as monitor:
        step(agent, optimizer, monitor)
        monitor.iteration(64)
        monitor.evaluation(result)
        monitor.close(result)
    run = evenkeel.read_run(tmp_path / "run")
    assert run.evaluation["summary"]["success"]["value"] == result.success
    assert run.settings["train"] == {"learning_rate": 1e-3}
    assert len(run.events_of("evaluation")) == 1


def test_misuse_is_explained(tmp_path):
    agent = Agent()
    optimizer = torch.optim.SGD(agent.parameters(), lr=1e-3)
    with pytest.raises(ValueError, match="finite"):
        evenkeel.Monitor(agent, optimizer, tmp_path / "a", settings={"lr": math.inf})
    with pytest.raises(ValueError, match="no scenario|no such|not"):
        evenkeel.Monitor(agent, optimizer, tmp_path / "b", scenario="nowhere")
    monitor = evenkeel.Monitor(agent, optimizer, tmp_path / "c", scenario="open_field")
    with pytest.raises(OSError, match="not empty"):
        evenkeel.Monitor(agent, optimizer, tmp_path / "c", scenario="open_field")
    with pytest.raises(RuntimeError, match="before_step"):
        monitor.after_step(loss=1.0)
    with pytest.raises(ValueError, match="time_limit"):
        monitor.episode(False, outcome="bored")
    monitor.close()
    monitor.close()
    with pytest.raises(RuntimeError, match="closed"):
        monitor.episode(True)
    events = (tmp_path / "c" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in events] == []
