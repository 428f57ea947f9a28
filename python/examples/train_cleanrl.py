"""PPO in one file, in the style of CleanRL, on evenkeel's vector environment.

    pip install evenkeel torch
    python train_cleanrl.py --steps 500000

With `--monitor`, evenkeel measures every optimiser step and writes a run's folder. Two arms, of which one
does not clip gradients, and the report on both:

    python train_cleanrl.py --monitor runs/clipped
    python train_cleanrl.py --monitor runs/raw --max-grad-norm inf
    evenkeel report runs/clipped runs/raw

Trains a Gaussian policy and evaluates its mean on held-out episodes. PPO as in Huang et al. 2022, "The
37 implementation details of PPO"; time limits bootstrap from the last observation.
"""

import argparse
import math
import time

import numpy as np
import torch
from torch import nn
from torch.distributions import Normal

import evenkeel


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", default="open_field")
    parser.add_argument("--steps", type=int, default=500_000, help="environment steps")
    parser.add_argument("--num-envs", type=int, default=64)
    parser.add_argument("--horizon", type=int, default=64, help="steps per environment and rollout")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--minibatches", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--gamma", type=float, default=0.99)
    parser.add_argument("--gae-lambda", type=float, default=0.95)
    parser.add_argument("--clip", type=float, default=0.2)
    parser.add_argument("--max-grad-norm", type=float, default=0.5)
    parser.add_argument("--episodes", type=int, default=200, help="held-out episodes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--monitor", metavar="FOLDER", help="measure with evenkeel.Monitor")
    return parser.parse_args()


def layer(inputs: int, outputs: int, gain: float = 2**0.5) -> nn.Linear:
    linear = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(linear.weight, gain)
    nn.init.zeros_(linear.bias)
    return linear


class Agent(nn.Module):
    def __init__(self, obs: int, act: int) -> None:
        super().__init__()

        def network(outputs: int, gain: float) -> nn.Sequential:
            return nn.Sequential(
                layer(obs, 64), nn.Tanh(), layer(64, 64), nn.Tanh(), layer(64, outputs, gain)
            )

        self.actor_mean = network(act, 0.01)
        self.actor_log_std = nn.Parameter(torch.zeros(act))
        self.critic = network(1, 1.0)

    def value(self, obs: torch.Tensor) -> torch.Tensor:
        return self.critic(obs).squeeze(-1)

    def distribution(self, obs: torch.Tensor) -> Normal:
        mean = self.actor_mean(obs)
        return Normal(mean, self.actor_log_std.exp().expand_as(mean))


def main() -> None:
    args = parse_args()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    envs = evenkeel.make_vec(args.scenario, args.num_envs, seed=args.seed)
    obs_dim, act_dim = envs.single_observation_space.shape[0], envs.single_action_space.shape[0]
    agent = Agent(obs_dim, act_dim)
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.learning_rate, eps=1e-5)

    @torch.no_grad()
    def policy(observations: np.ndarray) -> np.ndarray:
        return agent.actor_mean(torch.from_numpy(observations)).numpy()

    monitor = None
    if args.monitor:
        monitor = evenkeel.Monitor(
            agent,
            optimizer,
            args.monitor,
            scenario=args.scenario,
            arm="clipped" if math.isfinite(args.max_grad_norm) else "raw",
            seed=args.seed,
            total_steps=args.steps,
            settings={"learning_rate": args.learning_rate, "num_envs": args.num_envs},
        )

    shape = (args.horizon, args.num_envs)
    obs = torch.zeros((*shape, obs_dim))
    actions = torch.zeros((*shape, act_dim))
    log_probs, rewards, values, dones = (torch.zeros(shape) for _ in range(4))

    batch = args.horizon * args.num_envs
    iterations = max(args.steps // batch, 1)
    next_obs = torch.from_numpy(envs.reset()[0])
    start = time.perf_counter()
    for iteration in range(iterations):
        optimizer.param_groups[0]["lr"] = args.learning_rate * (1.0 - iteration / iterations)
        successes: list[bool] = []
        for step in range(args.horizon):
            obs[step] = next_obs
            with torch.no_grad():
                distribution = agent.distribution(next_obs)
                actions[step] = distribution.sample()
                log_probs[step] = distribution.log_prob(actions[step]).sum(-1)
                values[step] = agent.value(next_obs)
            observations, reward, terminated, truncated, infos = envs.step(actions[step].numpy())
            rewards[step] = torch.from_numpy(reward)
            dones[step] = torch.from_numpy(terminated | truncated).float()
            if truncated.any():
                # The episode would have gone on: add what the critic expects of it.
                last = torch.from_numpy(np.stack(infos["final_obs"][truncated]))
                with torch.no_grad():
                    rewards[step, torch.from_numpy(truncated)] += args.gamma * agent.value(last)
            if "final_info" in infos:
                ended = terminated | truncated
                final = infos["final_info"]
                successes.extend(final["success"][ended])
                if monitor is not None:
                    for row in np.flatnonzero(ended):
                        monitor.episode(
                            bool(final["success"][row]),
                            episodic_return=final["episode_return"][row],
                            length=final["episode_length"][row],
                        )
            next_obs = torch.from_numpy(observations)

        with torch.no_grad():
            next_value = agent.value(next_obs)
        advantages = torch.zeros(shape)
        advantage = torch.zeros(args.num_envs)
        for step in reversed(range(args.horizon)):
            going_on = 1.0 - dones[step]
            delta = rewards[step] + args.gamma * next_value * going_on - values[step]
            advantage = delta + args.gamma * args.gae_lambda * going_on * advantage
            advantages[step] = advantage
            next_value = values[step]
        returns = advantages + values

        flat = [array.flatten(0, 1) for array in (obs, actions, log_probs, advantages, returns)]
        for _ in range(args.epochs):
            order = torch.from_numpy(rng.permutation(batch))
            for index in order.chunk(args.minibatches):
                o, a, old_log_prob, adv, ret = (array[index] for array in flat)
                distribution = agent.distribution(o)
                ratio = (distribution.log_prob(a).sum(-1) - old_log_prob).exp()
                adv = (adv - adv.mean()) / (adv.std() + 1e-8)
                clipped = ratio.clamp(1.0 - args.clip, 1.0 + args.clip)
                policy_loss = -torch.min(adv * ratio, adv * clipped).mean()
                value_loss = 0.5 * (agent.value(o) - ret).square().mean()
                optimizer.zero_grad()
                (policy_loss + 0.5 * value_loss).backward()
                if monitor is None:
                    nn.utils.clip_grad_norm_(agent.parameters(), args.max_grad_norm)
                    optimizer.step()
                    continue
                clips = math.isfinite(args.max_grad_norm)
                monitor.before_step(clip=args.max_grad_norm if clips else None)
                optimizer.step()
                with torch.no_grad():
                    log_ratio = ratio.log()
                    monitor.after_step(
                        policy_loss=policy_loss,
                        value_loss=value_loss,
                        entropy=distribution.entropy().sum(-1).mean(),
                        kl=(ratio - 1.0 - log_ratio).mean(),
                        ratio_max=ratio.max(),
                    )

        if monitor is not None:
            monitor.iteration((iteration + 1) * batch, epochs=args.epochs)
            if iteration % 20 == 19:
                monitor.evaluation(evenkeel.evaluate(policy, args.scenario, episodes=100))
        if iteration % 10 == 0 or iteration == iterations - 1:
            steps = (iteration + 1) * batch
            speed = steps / (time.perf_counter() - start)
            success = np.mean(successes) if successes else float("nan")
            print(f"{steps:>9} steps  success {success:.3f}  {speed:.0f} steps/s", flush=True)

    result = evenkeel.evaluate(policy, args.scenario, episodes=args.episodes, name="cleanrl_ppo")
    if monitor is not None:
        monitor.close(result)
    print(result)


if __name__ == "__main__":
    main()
