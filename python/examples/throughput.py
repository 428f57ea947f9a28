"""Measures environment steps per second, as `evenkeel bench env` does.

    python throughput.py reference --num-envs 1024 --threads 2

Uniform random actions, each repeated for ten steps.
"""

import argparse
import time

import numpy as np

import evenkeel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenario", nargs="?", default="reference")
    parser.add_argument("--num-envs", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--secs", type=float, default=5.0)
    args = parser.parse_args()

    envs = evenkeel.make_vec(args.scenario, args.num_envs, threads=args.threads)
    envs.reset()
    rng = np.random.default_rng(0)
    shape = envs.action_space.shape

    def run(secs: float) -> float:
        """Step for at least `secs` seconds; return steps per second."""
        start = time.perf_counter()
        steps = 0
        while (took := time.perf_counter() - start) < secs:
            actions = 2.0 * rng.random(shape, dtype=np.float32) - 1.0
            for _ in range(10):
                envs.step(actions)
            steps += 10 * args.num_envs
        return steps / took

    run(args.secs / 10.0)
    print(f"{run(args.secs):.0f} environment steps/s")


if __name__ == "__main__":
    main()
