"""PPO of Stable-Baselines3 on evenkeel's vector environment.

pip install evenkeel stable-baselines3
python train_sb3.py --steps 500000
"""

import argparse

import numpy as np
from stable_baselines3 import PPO

import evenkeel
from evenkeel.sb3 import make_sb3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", default="open_field")
    parser.add_argument("--steps", type=int, default=500_000, help="environment steps")
    parser.add_argument("--num-envs", type=int, default=64)
    parser.add_argument("--horizon", type=int, default=64, help="steps per environment and rollout")
    parser.add_argument("--episodes", type=int, default=200, help="held-out episodes")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    envs = make_sb3(args.scenario, args.num_envs, seed=args.seed)
    model = PPO(
        "MlpPolicy",
        envs,
        n_steps=args.horizon,
        batch_size=args.horizon * args.num_envs // 16,
        n_epochs=10,
        learning_rate=lambda remaining: 3e-4 * remaining,
        seed=args.seed,
        device="cpu",
        verbose=1,
    )
    model.learn(args.steps)

    def policy(observations: np.ndarray) -> np.ndarray:
        return model.predict(observations, deterministic=True)[0]

    print(evenkeel.evaluate(policy, args.scenario, episodes=args.episodes, name="sb3_ppo"))


if __name__ == "__main__":
    main()
