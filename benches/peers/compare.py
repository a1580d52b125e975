#!/usr/bin/env python3
"""Runs the same work in limbeck, burn, candle and PyTorch by turns: the table of docs/performance.md.

    python3 benches/peers/compare.py --build     builds every peer from nothing, timed (burn: half an hour)
    python3 benches/peers/compare.py             measures, prints the table
    python3 benches/peers/compare.py --write     the same, and puts the table into docs/performance.md

--python names the interpreter that has requirements.txt. --only picks rows by parts of their names, with
commas between; the other rows are then those of an earlier run.
"""

import argparse
import datetime
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from table import render

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))
from pin import busiest, pin
TARGET, INPUTS = HERE / "target", HERE / "target" / "inputs"
DOCUMENT = HERE.parent.parent / "docs" / "performance.md"
RUST = ["limbeck", "burn", "candle"]
PEERS = RUST + ["torch"]
GEMM = {n: 2 * n**3 for n in (256, 512, 1024)}
CONV = 2 * 32 * 28 * 28 * 64 * 32 * 9
# 32 texts of 32 tokens through 6 layers of width 384: the products with weights, and those of attention.
MINILM = 32 * 32 * 6 * (8 * 384**2 + 4 * 384 * 1536 + 4 * 32 * 384)

# Name, what peers are told to prepare, file of inputs, floating-point operations, who does it.
WORK = [(f"gemm {n}", "gemm", f"gemm-{n}", flops, PEERS) for n, flops in GEMM.items()] + [
    ("conv2d forward", "conv", "conv", CONV, PEERS),
    ("conv2d forward and backward", "conv-train", "conv", 3 * CONV, PEERS),
    ("CNN training step", "cnn", "cnn", None, PEERS),
    ("ResNet-20 training step", "resnet20", "resnet20", None, PEERS),
    ("MiniLM-L6 forward, 32 x 32 tokens", "minilm", "minilm", MINILM, ["limbeck", "torch"]),
    ("2x128 encoder training step", "encoder-train", "encoder-train", None, ["limbeck", "torch"]),
]
# Largest difference between two peers, as a share of a result's norm or of a loss after 1 and after 5 steps.
TOLERANCE = 1e-3
# A block of runs takes at least this long, so that the clock and the change of processes do not count.
BLOCK_MS = 400.0


class Peer:
    """A peer program that has been started; it stands still while another is measured."""

    def __init__(self, name, python, cache):
        program = [python, HERE / "torch_peer.py"] if name == "torch" else [binary(name)]
        places = {"XDG_CACHE_HOME": cache, "XDG_RUNTIME_DIR": cache}
        env = os.environ | places | {"MESA_SHADER_CACHE_DISABLE": "true"}
        self.name, self.started = name, time.perf_counter()
        self.errors = open(TARGET / f"{name}.log", "a")
        # Away from here: burn keeps its tuning results beside a Cargo.toml, else in the cache directory.
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.errors}
        self.process = subprocess.Popen(program, cwd=cache, env=env, text=True, **pipes)
        self.about = self.answer()["about"]

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended; see {self.errors.name}")
        return json.loads(line)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.answer()

    def run(self, times):
        """Milliseconds of one run, and the last one's result."""
        self.process.send_signal(signal.SIGCONT)
        answer = self.ask(f"run {times}")
        self.process.send_signal(signal.SIGSTOP)
        return answer["ms"] / times, answer["values"]

    def keep_apart(self, times):
        """Keeps the two threads that run most on a core each; milliseconds of one run."""
        seen = {}
        busiest(self.process.pid, seen)
        ms, _ = self.run(times)
        for core, thread in enumerate(busiest(self.process.pid, seen)):
            pin(thread, core)
        return ms

    def peak(self):
        """The most memory that it ever held, MiB."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024

    def end(self):
        self.process.kill()
        self.process.wait()
        self.errors.close()


def binary(name):
    return TARGET / name / "release" / f"{name}-peer"


def measure(work, rounds, python, cache):
    """Times of every peer for one row, by turns."""
    _, verb, file, flops, names = work
    peers, row = [], {"work": work[0], "flops": flops, "peers": {}, "rounds": rounds}
    row["date"] = datetime.datetime.now().strftime("%Y-%m-%d %H:%M")
    row["load"] = os.getloadavg()[0]
    try:
        for name in names:
            peer = Peer(name, python, cache)
            peers.append(peer)
            peer.ask(f"prepare {verb} {INPUTS / file}.safetensors")
            _, first = peer.run(1)
            waited = time.perf_counter() - peer.started
            seen = row["peers"][name] = {"about": peer.about, "first_s": waited, "ms": []}
            ms, fifth = peer.run(4)
            seen["values"] = first + fifth
            # The second block is the warm one: by then tuners have chosen and memory is in place.
            for run in [peer.keep_apart, lambda times: peer.run(times)[0]]:
                seen["runs"] = max(1, min(1000, round(BLOCK_MS / ms)))
                ms = run(seen["runs"])
            note(f"{work[0]}: {name} first run after {waited:.2f} s, then {ms:.3f} ms")
        check(row)
        for turn in range(rounds):
            for peer in peers[turn % len(peers):] + peers[:turn % len(peers)]:
                seen = row["peers"][peer.name]
                seen["ms"].append(peer.run(seen["runs"])[0])
        for peer in peers:
            row["peers"][peer.name]["peak_mib"] = peer.peak()
    finally:
        for peer in peers:
            peer.end()
    return row


def check(row):
    """All peers must have computed the same. Digests come in pairs, the first of which is the norm."""
    want = row["peers"]["torch"]["values"]
    row["error"] = 0.0
    for name, seen in row["peers"].items():
        if len(seen["values"]) != len(want):
            raise SystemExit(f"{row['work']}: {name} computed {seen['values']}, PyTorch {want}")
        for i, (value, expected) in enumerate(zip(seen["values"], want)):
            scale = abs(want[i - i % 2] if row["flops"] else expected)
            error = abs(value - expected) / scale
            if not error <= TOLERANCE:
                raise SystemExit(f"{row['work']}: {name} computed {seen['values']}, PyTorch {want}")
            row["error"] = max(row["error"], error)


def build():
    """Builds each peer from nothing; seconds of CPU time too: others may want the cores meanwhile."""
    built = {}
    for name in RUST:
        shutil.rmtree(TARGET / name, ignore_errors=True)
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        compile_peer(name)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        built[name] = {"cpu_s": cpu, "wall_s": time.perf_counter() - start}
        (TARGET / "builds.json").write_text(json.dumps(built, indent=1))
        note(f"{name}: {built[name]}")


def compile_peer(name):
    """Leaves a program that is up to date as it is."""
    command = ["cargo", "build", "--release", "--locked", "-j2", "-p", f"{name}-peer"]
    subprocess.run(command, cwd=HERE, check=True, env=os.environ | {"CARGO_TARGET_DIR": str(TARGET / name)})


def built_peers():
    return [name for name in RUST if binary(name).exists()]


def footprint(names):
    """Crates, size of the stripped program and cost of its build, by peer."""
    recorded = TARGET / "builds.json"
    built = json.loads(recorded.read_text()) if recorded.exists() else {}
    for name in names:
        kinds = ["-e", "normal,build", "--prefix", "none"]
        tree = output("cargo", "tree", "--locked", "-p", f"{name}-peer", *kinds)
        crates = {line.removesuffix(" (*)") for line in tree.splitlines()}
        own = {crate for crate in crates if crate.split()[0] in (f"{name}-peer", "peer-protocol")}
        with tempfile.TemporaryDirectory() as scratch:
            stripped = pathlib.Path(scratch) / name
            subprocess.run(["strip", "-o", stripped, binary(name)], check=True)
            size = stripped.stat().st_size / 1e6
        built.setdefault(name, {}).update(crates=len(crates - own), megabytes=size)
    return built


def output(*command):
    return subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=True).stdout


def machine():
    model = line_of("/proc/cpuinfo", "model name").split(":")[1].strip()
    version = line_of(HERE.parent.parent / "Cargo.toml", "version").split('"')[1]
    commit = output("git", "rev-parse", "--short", "HEAD").strip()
    return {
        "cpu": f"{os.cpu_count()} cores of {model}",
        "limbeck": f"{version} at commit {commit}",
        "rustc": output("rustc", "-V").strip(),
    }


def line_of(file, start):
    return next(line for line in pathlib.Path(file).read_text().splitlines() if line.startswith(start))


def note(text):
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


def main():
    raw = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    options.add_argument("--build", action="store_true")
    options.add_argument("--write", action="store_true")
    options.add_argument("--python", default=sys.executable)
    options.add_argument("--only", default="")
    options.add_argument("--rounds", type=int, default=9)
    options = options.parse_args()
    if options.build:
        return build()
    chosen = [work for work in WORK if any(part in work[0] for part in options.only.split(","))]
    for name in RUST:
        if any(name in work[-1] for work in chosen):
            compile_peer(name)
    subprocess.run([options.python, HERE / "torch_peer.py", "--inputs", INPUTS], check=True)
    recorded = TARGET / "results.json"
    earlier = json.loads(recorded.read_text())["rows"] if options.only and recorded.exists() else []
    rows = {row["work"]: row for row in earlier}
    # An empty cache: the first step of each row is a cold one but for what burn tuned in the rows before it.
    with tempfile.TemporaryDirectory() as cache:
        # The CNN step is the one whose first step is told, so it goes first.
        for work in sorted(chosen, key=lambda work: work[1] != "cnn"):
            rows[work[0]] = measure(work, options.rounds, options.python, cache)
    ordered = [rows[work[0]] for work in WORK if work[0] in rows]
    results = {"machine": machine(), "rows": ordered, "footprint": footprint(built_peers())}
    recorded.write_text(json.dumps(results, indent=1))
    text = render(results)
    print(text)
    if options.write:
        before, rest = DOCUMENT.read_text().split("<!-- peers -->\n")[0::2]
        DOCUMENT.write_text(f"{before}<!-- peers -->\n{text}<!-- peers -->\n{rest}")


if __name__ == "__main__":
    main()
