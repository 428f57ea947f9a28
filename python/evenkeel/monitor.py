"""Evenkeel's stability measurements for a PyTorch training that evenkeel does not run.

    monitor = evenkeel.Monitor(agent, optimizer, out="runs/mine", scenario="reference", seed=1)
    ...
    loss.backward()
    monitor.before_step(clip=0.5)
    optimizer.step()
    monitor.after_step(policy_loss=pg_loss, value_loss=v_loss, entropy=entropy, kl=approx_kl)
    ...
    monitor.iteration(global_step)
    monitor.close()

The folder `runs/mine` is that of a run: `evenkeel report runs/mine`, `evenkeel compare RUN RUN`,
`evenkeel runs` and `evenkeel.read_run` read it. Needs the package `torch`.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np

from evenkeel import _evenkeel
from evenkeel._evenkeel import Scenario
from evenkeel.evaluation import Evaluation

__all__ = ["Monitor", "Symptom"]

_LOG = logging.getLogger("evenkeel")

# As in evenkeel's own training: a unit is dormant if its mean absolute output is at most this share of
# its layer's mean, and a tanh or sigmoid is saturated where its slope is below this share of the
# steepest.
_DORMANT_SHARE = 0.025
_MIN_SLOPE_SHARE = 0.05


@dataclass(frozen=True)
class Symptom:
    """A symptom that a detector has reported. `docs/detectors.md` explains each."""

    name: str
    """Such as `gradient_spike`."""
    severity: str
    """`warning` or `critical`."""
    global_step: int
    """Environment steps collected before."""
    optimiser_step: int
    """Optimiser steps before."""
    event: dict[str, Any]
    """Everything that is logged: location, value, threshold."""

    def __str__(self) -> str:
        return (
            f"{self.name.replace('_', ' ')} at optimiser step {self.optimiser_step}: "
            f"{self.event.get('value')} (threshold {self.event.get('threshold')})"
        )


class Monitor:
    """Measures every optimiser step of a PyTorch training and writes a run's folder.

    Args:
        model: The policy, a `torch.nn.Module` with actor and critic.
        optimizer: Its optimiser; the learning rate is read from its first parameter group.
        out: The run's folder; it must not exist or be empty.
        scenario: Scenario that it trains in: a shipped one's name or a scenario file.
        arm: What distinguishes this training from others, such as `"clipped"`.
        seed: Its seed. Runs of two arms with the same seed are a pair.
        total_steps: Environment steps that it will take in all; 0 if unknown.
        settings: Its settings, numbers or texts by name, which comparisons list where they differ.
        scenario_settings: Overrides of the scenario, as in `make_vec`.
        is_critic: Says of a parameter's name whether it belongs to the critic. By default it does if
            the name contains `critic` or `value`.
        action_dim: Length of an action; by default that of the scenario.
        hooks: Whether to watch for dormant and saturated units, with a forward hook on each
            activation; the last forward pass of an iteration is measured.

    Raises `OSError` if the folder cannot be created, `ValueError` if an argument is invalid.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        out: str | os.PathLike[str],
        *,
        scenario: str | os.PathLike[str] = "reference",
        arm: str = "external",
        seed: int = 0,
        total_steps: int = 0,
        settings: dict[str, float | int | str | bool] | None = None,
        scenario_settings: dict[str, Any] | None = None,
        is_critic: Callable[[str], bool] | None = None,
        action_dim: int | None = None,
        hooks: bool = True,
    ) -> None:
        import torch

        self._torch = torch
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        if not named:
            raise ValueError("the model has no parameters to train")
        if is_critic is None:
            is_critic = _is_critic
        # Detectors compare the parameters of one network; its name is the first part of theirs.
        network = {name: "critic" if is_critic(name) else "actor" for name, _ in named}
        self._names = [
            name if name.split(".")[0] == network[name] else f"{network[name]}.{name}"
            for name, _ in named
        ]
        self._parameters = [parameter for _, parameter in named]
        self._critic = [network[name] == "critic" for name, _ in named]
        device = self._parameters[0].device
        lengths = [p.numel() for p in self._parameters]
        self._lengths = torch.tensor(lengths, device=device)
        self._starts = np.cumsum([0, *lengths[:-1]])
        self._optimizer = optimizer
        loaded = Scenario(scenario, scenario_settings)
        self._log = _evenkeel.RunLog(
            os.fspath(out),
            loaded,
            arm,
            seed,
            total_steps,
            _toml(settings or {}),
            self._names,
            loaded.action_dim if action_dim is None else action_dim,
            math.sqrt(sum(self._squares(self._flatten(self._parameters)))),
        )
        self._open = True
        self._optimiser_step = 0
        self._global_step = 0
        self._epochs = 0
        self._report: dict[str, Any] | None = None
        self._before: Any = None
        self._activations: dict[int, tuple[Any, Any]] = {}
        self._handles: list[Any] = []
        if hooks:
            self._add_hooks(model, {name: index for index, (name, _) in enumerate(named)})

    # Every optimiser step

    def before_step(self, clip: float | None = None) -> float:
        """Measure the gradients, between `backward` and `optimizer.step`.

        With `clip`, gradients are scaled to this global norm at most, as
        `torch.nn.utils.clip_grad_norm_` does; leave that out then. Returns the global norm before.
        """
        torch = self._torch
        with torch.no_grad():
            gradients = [
                torch.zeros_like(p) if p.grad is None else p.grad for p in self._parameters
            ]
            flat = self._flatten(gradients)
            squares, grad_max = self._squares(flat), float(flat.abs().max())
            nonfinite = 0
            if not math.isfinite(grad_max):
                nonfinite = int((~flat.isfinite()).sum())
            grad_norm = math.sqrt(sum(squares))
            critic = sum(s for s, is_critic in zip(squares, self._critic, strict=True) if is_critic)
            actor = sum(
                s for s, is_critic in zip(squares, self._critic, strict=True) if not is_critic
            )
            self._report = {
                "grad_norm": grad_norm,
                "grad_norm_actor": math.sqrt(actor),
                "grad_norm_critic": math.sqrt(critic),
                "layer_norms": [math.sqrt(square) for square in squares],
                "grad_max": grad_max,
                "grad_nonfinite": nonfinite,
            }
            if clip is not None:
                # As clip_grad_norm_: if the norm is not finite, the gradients stay so, visibly.
                factor = min(clip / (grad_norm + 1e-6), 1.0)
                torch._foreach_mul_(
                    [p.grad for p in self._parameters if p.grad is not None], factor
                )
                self._report["clip_threshold"] = clip
                self._report["clipped_norm"] = grad_norm * factor
            self._before = self._flatten(self._parameters)
        return grad_norm

    def after_step(
        self,
        *,
        loss: Any = None,
        policy_loss: Any = None,
        value_loss: Any = None,
        entropy: Any = None,
        kl: Any = None,
        ratio_clip_share: Any = None,
        ratio_max: Any = None,
        global_step: int | None = None,
    ) -> list[Symptom]:
        """Log the optimiser step, after `optimizer.step`. Values are numbers or scalar tensors.

        Args:
            loss: The whole loss; it only tells whether the loss is finite.
            policy_loss: Loss of the policy.
            value_loss: Loss of the critic.
            entropy: Mean entropy of the action distribution, nats.
            kl: Approximate KL divergence from the policy that collected the rollout, nats.
            ratio_clip_share: Share of samples whose probability ratio the objective clipped.
            ratio_max: Largest probability ratio.
            global_step: Environment steps collected so far, if it has changed.

        Returns the symptoms that begin with this step, which are also logged as warnings of the
        logger `evenkeel`. Raises `RuntimeError` without `before_step`.
        """
        report, self._report = self._report, None
        if report is None:
            raise RuntimeError("call before_step before optimizer.step, and after_step behind it")
        if global_step is not None:
            self._global_step = global_step
        with self._torch.no_grad():
            flat = self._flatten(self._parameters)
            after, before = self._squares(flat), self._squares(self._before)
            applied = self._squares(flat.sub_(self._before))
        report["param_norm"] = math.sqrt(sum(after))
        report["update_ratio"] = _ratio(sum(applied), sum(before))
        report["layer_update_ratios"] = [
            _ratio(*pair) for pair in zip(applied, before, strict=True)
        ]
        values = {
            "policy_loss": policy_loss,
            "value_loss": value_loss,
            "entropy": entropy,
            "approx_kl": kl,
            "ratio_clip_share": ratio_clip_share,
            "ratio_max": ratio_max,
        }
        report.update({key: _number(value) for key, value in values.items() if value is not None})
        if loss is not None and not math.isfinite(_number(loss)):
            report["policy_loss"] = math.nan
        report["global_step"] = self._global_step
        report["optimiser_step"] = self._optimiser_step
        self._optimiser_step += 1
        return self._symptoms(self._log.update(report))

    # Every episode, iteration, evaluation

    def episode(
        self,
        success: bool,
        *,
        episodic_return: float = 0.0,
        length: int = 0,
        outcome: str | None = None,
    ) -> None:
        """Count a training episode that has ended.

        `outcome` is one of `evenkeel.OUTCOMES`; by default `goal`, or `time_limit` without success.
        `length` is in control steps.
        """
        if outcome is None:
            outcome = "goal" if success else "time_limit"
        self._log.episode(outcome, float(episodic_return), float(length))

    def iteration(
        self,
        global_step: int,
        *,
        epochs: int = 1,
        explained_variance: Any = None,
        value_max: Any = None,
        value_bound: Any = None,
        action_std: Any = None,
    ) -> list[Symptom]:
        """Log the end of an iteration: a rollout with its optimiser steps.

        Args:
            global_step: Environment steps collected so far, this iteration included.
            epochs: Passes over the rollout.
            explained_variance: 1 − Var(returns − values) / Var(returns).
            value_max: Largest absolute value of the critic, in units of rewards.
            value_bound: Largest absolute value that rewards allow: r / (1 − gamma).
            action_std: Mean standard deviation of the actions.

        Returns the symptoms that begin with it.
        """
        self._global_step = int(global_step)
        values = {
            "global_step": global_step,
            "learning_rate": self._optimizer.param_groups[0]["lr"],
            "epochs": epochs,
            "explained_variance": explained_variance,
            "value_max": value_max,
            "value_bound": value_bound,
            "action_std": action_std,
        }
        metrics: dict[str, Any] = {
            key: _number(value) for key, value in values.items() if value is not None
        }
        metrics["units"] = self._units()
        return self._symptoms(self._log.iteration(metrics))

    def evaluation(self, result: Evaluation, global_step: int | None = None) -> None:
        """Log an evaluation of the policy during training: see `evenkeel.evaluate`."""
        step = self._global_step if global_step is None else global_step
        self._log.evaluation(step, json.dumps(result.summary))

    def close(self, evaluation: Evaluation | None = None, *, stopped: bool = False) -> None:
        """End the run.

        `evaluation` is that of the final policy; without one a report has no score for the run.
        `stopped` says that training ended early.
        """
        if not self._open:
            return
        self._open = False
        for handle in self._handles:
            handle.remove()
        self._log.finish(None if evaluation is None else evaluation.report, stopped)

    def __enter__(self) -> Monitor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(stopped=kind is not None)

    # Details

    def _flatten(self, tensors: list[Any]) -> Any:
        """Return all entries of tensors as one new vector."""
        return self._torch.cat([tensor.detach().view(-1) for tensor in tensors])

    def _squares(self, flat: Any) -> list[float]:
        """Return the sums of squares, in double precision, of each parameter's entries in a flat vector."""
        squares = flat.double().square_()
        if squares.is_cuda:
            sums = self._torch.segment_reduce(squares, "sum", lengths=self._lengths)
            return list(sums.tolist())
        # Four times as fast on a CPU.
        return list(np.add.reduceat(squares.numpy(), self._starts).tolist())

    def _symptoms(self, text: str) -> list[Symptom]:
        symptoms = [
            Symptom(
                name=event["symptom"],
                severity=event["severity"],
                global_step=event["global_step"],
                optimiser_step=event["optimiser_step"],
                event=event,
            )
            for event in json.loads(text)
        ]
        for symptom in symptoms:
            _LOG.warning("%s", symptom)
        return symptoms

    def _add_hooks(self, model: Any, indices: dict[str, int]) -> None:
        """Keep the last outputs of each activation that follows a linear layer or convolution."""
        nn = self._torch.nn
        layers = (nn.Linear, nn.Conv1d, nn.Conv2d)
        unbounded = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU)
        bounded = (nn.Tanh, nn.Sigmoid)
        for prefix, module in model.named_modules():
            if not isinstance(module, nn.Sequential):
                continue
            feeding: int | None = None
            for name, child in module.named_children():
                full = f"{prefix}.{name}" if prefix else name
                if isinstance(child, layers):
                    feeding = indices.get(f"{full}.weight")
                elif isinstance(child, unbounded + bounded) and feeding is not None:
                    self._handles.append(child.register_forward_hook(self._keep(feeding)))
                    feeding = None

    def _keep(self, index: int) -> Callable[[Any, Any, Any], None]:
        def hook(module: Any, _inputs: Any, output: Any) -> None:
            self._activations[index] = (module, output.detach())

        return hook

    def _units(self) -> list[tuple[float | None, float | None]]:
        """Return the shares of saturated and of dormant units, by parameter."""
        torch = self._torch
        shares: list[tuple[float | None, float | None]] = [(None, None)] * len(self._parameters)
        for index, (module, output) in self._activations.items():
            rows = output.reshape(output.shape[0], -1)
            mean = rows.abs().mean(dim=0)
            level = float(mean.mean())
            dormant = None
            if math.isfinite(level):
                dormant = float((mean <= _DORMANT_SHARE * level).float().mean())
            saturated = None
            if isinstance(module, torch.nn.Tanh):
                saturated = float((1 - rows.square() < _MIN_SLOPE_SHARE).float().mean())
            elif isinstance(module, torch.nn.Sigmoid):
                saturated = float((4 * rows * (1 - rows) < _MIN_SLOPE_SHARE).float().mean())
            shares[index] = (saturated, dormant)
        self._activations.clear()
        return shares


def _is_critic(name: str) -> bool:
    return "critic" in name or "value" in name


def _number(value: Any) -> float:
    """Return a number, or that of a tensor of one number."""
    return float(value.detach() if hasattr(value, "detach") else value)


def _ratio(square: float, of: float) -> float | None:
    """Return the ratio of two norms, given their squares; None if the second is 0."""
    return math.sqrt(square / of) if of else None


def _toml(settings: dict[str, float | int | str | bool]) -> str:
    """Write settings as lines of TOML."""
    lines = []
    for key, value in settings.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"setting {key!r} is {value}; it must be a finite number")
        if not isinstance(value, (bool, int, float, str)):
            raise ValueError(f"setting {key!r} is a {type(value).__name__}, not a number or text")
        lines.append(f"{json.dumps(key)} = {json.dumps(value)}")
    return "\n".join(lines)
