#!/usr/bin/env python3
"""Measures two limbeck binaries by turns (A B B A ..) on the same work, and says which is faster.

    python3 benches/turns.py BEFORE AFTER
    python3 benches/turns.py BEFORE AFTER --rounds 9 --mnist FOLDER --only eval,demo

Each program runs under pin.py. A round gives one figure of each; the first round warms the driver's cache and does not
count. Ratios are of one round's two figures, so that what slows the machine for minutes counts in both. A work is slower
or faster where the quarter of the ratios on either side of the median are on one side of 1 and the median is 2 % away from it.
"""

import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

PIN = pathlib.Path(__file__).resolve().parent / "pin.py"
# A median that is less away from 1 is the noise of two equal programs.
NOISE = 0.02
SMALL = "--limit-train 64 --batch-size 64"


class Work:
    """What is run, and its figure in milliseconds."""

    def __init__(self, name, measure):
        self.name, self.measure = name, measure


def limbeck(binary, words, cwd, **env):
    """Runs it pinned, with the words of a line or a list; gives its standard output."""
    words = words.split() if isinstance(words, str) else words
    places = {"XDG_RUNTIME_DIR": cwd, "LIMBECK_CACHE": os.path.join(cwd, "cache")}
    program = [sys.executable, PIN, binary, "--no-tune", *words]
    done = subprocess.run(program, cwd=cwd, env=os.environ | places | env, text=True, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{binary} {' '.join(words)}:\n{done.stderr}")
    return done.stdout


def bench(suite, case):
    """The median of one case of `limbeck bench`."""

    def measure(binary, cwd):
        limbeck(binary, ["bench", suite, "--repeats", "9", "--save", "bench.json", "--filter", case], cwd)
        with open(os.path.join(cwd, "bench.json"), encoding="utf-8") as file:
            found = json.load(file)["adapters"][0]
        rows = found["rows"]
        if not rows:
            raise SystemExit(f"{case}: {found['notes']}")
        return statistics.median(row["median_ms"] for row in rows)

    return measure


def wall(line, **env):
    """The whole process."""

    def measure(binary, cwd):
        start = time.perf_counter()
        limbeck(binary, line, cwd, **env)
        return (time.perf_counter() - start) * 1e3

    return measure


def evaluation(model, data):
    """What `limbeck eval` says of itself, its compilation left out: milliseconds of 10,000 images."""

    def measure(binary, cwd):
        if not os.path.exists(os.path.join(cwd, "model.safetensors")):
            limbeck(binary, f"train --model {model} {data} {SMALL} --max-steps 1 --out .", cwd)
        answer = json.loads(limbeck(binary, f"eval model.safetensors {data} --json", cwd))
        return 1e7 / answer["images_per_second"]

    return measure


def epochs(model, data):
    """An epoch of one step and 10,000 held-out images, inside a training: its least, the first left out."""

    def measure(binary, cwd):
        limbeck(binary, f"train --model {model} {data} {SMALL} --epochs 4 --out . --overwrite", cwd)
        with open(os.path.join(cwd, "metrics.jsonl"), encoding="utf-8") as file:
            ends = [record["seconds"] for record in map(json.loads, file) if record["split"] != "train"]
        return min(b - a for a, b in zip(ends, ends[1:])) * 1e3

    return measure


def works(mnist):
    no_cache = {"MESA_SHADER_CACHE_DISABLE": "true"}
    first = f"train --model cnn:32,64 {SMALL} --limit-test 64 --max-steps 1 --out . --overwrite"
    all = [
        Work("step of the CNN that engines compare, batch 64", bench("train", "engines compare")),
        Work("step of ResNet-20, batch 64", bench("train", "resnet20/resnet20, batch 64")),
        Work("open a device and run a first step", bench("overhead", "first step")),
        Work("first step as a process", wall(first)),
        Work("first step as a process, driver's cache off", wall(first, **no_cache)),
        Work("limbeck demo", wall("demo --out demo")),
    ]
    if mnist:
        data = f"--data mnist --data-dir {mnist}"
        all += [
            Work("eval of 10,000 images, cnn:8,16", evaluation("cnn:8,16", data)),
            Work("held-out images in a training, 10,000, cnn:8,16", epochs("cnn:8,16", data)),
            Work("held-out images in a training, 10,000, mlp:16", epochs("mlp:16", data)),
        ]
    return all


def verdict(ratios):
    if len(ratios) < 4:
        return "too few"
    low, middle, high = statistics.quantiles(ratios, n=4)
    if abs(middle - 1) < NOISE or low <= 1 <= high:
        return "same"
    return "slower" if middle > 1 else "faster"


def run(work, binaries, rounds):
    """Figures of both, in the order of the rounds."""
    figures = ([], [])
    with tempfile.TemporaryDirectory() as folder:
        folders = [os.path.join(folder, name) for name in "ab"]
        for at in folders:
            os.mkdir(at)
        for turn in range(rounds + 1):
            for which in (0, 1) if turn % 2 else (1, 0):
                figure = work.measure(binaries[which], folders[which])
                if turn:
                    figures[which].append(figure)
    return figures


def line(work, figures):
    ratios = [b / a for a, b in zip(*figures)]
    cells = [f"{statistics.median(f):.1f} ({min(f):.1f} to {max(f):.1f})" for f in figures]
    spread = f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
    least = min(figures[1]) / min(figures[0])
    return f"| {work.name}, ms | {cells[0]} | {cells[1]} | {spread} | {least:.3f} | {verdict(ratios)} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mnist", help="a folder with MNIST's files, for the evaluation of its 10,000 test images")
    parser.add_argument("--only", default="", help="works with one of these parts in their names, commas between")
    parser.add_argument("--save", help="write all figures there as JSON")
    asked = parser.parse_args()
    binaries = [os.path.abspath(asked.before), os.path.abspath(asked.after)]
    parts = asked.only.split(",")
    chosen = [w for w in works(asked.mnist and os.path.abspath(asked.mnist)) if any(part in w.name for part in parts)]
    print(f"{datetime.datetime.now():%Y-%m-%d %H:%M}, load {os.getloadavg()[0]:.2f}, {asked.rounds} rounds: median (range)")
    print("\n| | before | after | after / before | of the least | |\n|---|---:|---:|---:|---:|---|")
    kept = {}
    for work in chosen:
        figures = run(work, binaries, asked.rounds)
        kept[work.name] = {"before": figures[0], "after": figures[1]}
        print(line(work, figures), flush=True)
    if asked.save:
        pathlib.Path(asked.save).write_text(json.dumps(kept, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
