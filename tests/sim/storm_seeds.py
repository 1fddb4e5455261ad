"""Many drawn storms over a session that does everything; the first that is wrong is told.

python -m tests.sim.storm_seeds --seeds 0:1000
"""

import argparse
from collections import Counter

from tests.sim.test_storm import judge


def main() -> None:
    """Judge the storms of these seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0:1000")
    first, end = map(int, parser.parse_args().seeds.split(":"))
    happened: Counter[str] = Counter()
    for seed in range(first, end):
        try:
            happened += judge(seed).happened
        except BaseException:
            print(f"failed: python -m tests.sim.storm_seeds --seeds {seed}:{seed + 1}")
            raise
    for name, count in sorted(happened.items()):
        print(f"{count:>9,}  {name}")
    print(f"{end - first} storms")


if __name__ == "__main__":
    main()
