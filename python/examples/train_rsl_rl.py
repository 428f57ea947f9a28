"""PPO of rsl_rl on evenkeel's vector environment.

pip install evenkeel rsl-rl-lib
python train_rsl_rl.py --steps 500000
"""

import argparse

import numpy as np
import torch
from rsl_rl.runners import OnPolicyRunner
from tensordict import TensorDict

import evenkeel
from evenkeel.rsl_rl import make_rsl_rl


def config(horizon: int) -> dict:
    network = {
        "class_name": "MLPModel",
        "hidden_dims": [64, 64],
        "activation": "tanh",
        "obs_normalization": False,
    }
    noise = {"class_name": "GaussianDistribution", "init_std": 1.0, "std_type": "log"}
    return {
        "num_steps_per_env": horizon,
        "save_interval": 1_000_000,
        "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
        "actor": {**network, "distribution_cfg": noise},
        "critic": network,
        "algorithm": {
            "class_name": "PPO",
            "num_learning_epochs": 10,
            "num_mini_batches": 16,
            "learning_rate": 3e-4,
            "schedule": "fixed",
            "entropy_coef": 0.0,
            "max_grad_norm": 0.5,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", default="open_field")
    parser.add_argument("--steps", type=int, default=500_000, help="environment steps")
    parser.add_argument("--num-envs", type=int, default=64)
    parser.add_argument("--horizon", type=int, default=64, help="steps per environment and rollout")
    parser.add_argument("--episodes", type=int, default=200, help="held-out episodes")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    envs = make_rsl_rl(args.scenario, args.num_envs, seed=args.seed)
    runner = OnPolicyRunner(envs, config(args.horizon), device="cpu")
    runner.learn(max(args.steps // (args.num_envs * args.horizon), 1))
    actor = runner.get_inference_policy("cpu")

    @torch.inference_mode()
    def policy(observations: np.ndarray) -> np.ndarray:
        group = TensorDict({"policy": torch.from_numpy(observations)}, [len(observations)])
        return actor(group).numpy()

    print(evenkeel.evaluate(policy, args.scenario, episodes=args.episodes, name="rsl_rl_ppo"))


if __name__ == "__main__":
    main()
