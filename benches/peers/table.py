"""The table of docs/performance.md, from what compare.py measured."""

import statistics

NAMES = {"limbeck": "limbeck", "burn": "burn", "candle": "candle", "torch": "PyTorch"}

# Least speed of limbeck against a peer's, by row: what issue 3 set out to reach.
GOALS = {
    "gemm 512": [("burn", 4.0)],
    "gemm 1024": [("burn", 4.0)],
    "conv2d forward": [("burn", 8.0)],
    "conv2d forward and backward": [("burn", 8.0)],
    "CNN training step": [("burn", 8.0), ("candle", 1.0), ("torch", 0.5)],
    "ResNet-20 training step": [("burn", 5.0)],
}


def render(results):
    machine, rows = results["machine"], results["rows"]
    peers = {name: peer for row in reversed(rows) for name, peer in row["peers"].items()}
    lines = [
        f"Measured {span(row['date'] for row in rows)} on {machine['cpu']} (load average before a row:",
        f"{span(row['load'] for row in rows)}), with {machine['rustc']} and limbeck {machine['limbeck']}.",
        "What each peer says of itself:",
        "",
        *[f"- {NAMES[name]}: {peers[name]['about']}" for name in NAMES if name in peers],
        "",
        f"Milliseconds of one run: the median, least and most of {span(row['rounds'] for row in rows)}",
        "blocks. \"To burn 10\": limbeck is ten times as fast, by the median of the ratios in a round.",
        "\"Landed\" has that ratio and the one of the least times, which a busy machine disturbs less; a",
        "goal is met only where both reach it.",
        "",
        header(["work", *NAMES.values(), *[f"to {NAMES[p]}" for p in list(NAMES)[1:]], "goal", "landed"]),
    ]
    lines += [timing(row) for row in rows]
    error = max(row["error"] for row in rows)
    same = f"All peers computed the same: the largest difference to PyTorch's result is {error:.0e} of it."
    lines += ["", same, ""]
    lines += [header(["", *NAMES.values(), "goal for limbeck", "landed"]), *costs(results)]
    return "\n".join(lines) + "\n"


def span(values):
    values = sorted(set(values))
    ends = (f"{value:.1f}" if isinstance(value, float) else str(value) for value in (values[0], values[-1]))
    return " to ".join(dict.fromkeys(ends))


def header(names):
    return f"| {' | '.join(names)} |\n|{'---|' * len(names)}"


def cells(*values):
    return f"| {' | '.join(values)} |"


def timing(row):
    peers, flops = row["peers"], row["flops"]
    ratios = {name: ratio(peers, name) for name in NAMES if name != "limbeck" and name in peers}
    goals = GOALS.get(row["work"], [])
    aims = [f"{least:g}x {NAMES[name]}" for name, least in goals]
    landed = [reached(ratios[name], quickest(peers, name), least) for name, least in goals]
    times = [time_of(peers[name]["ms"], flops) if name in peers else "" for name in NAMES]
    faster = [f"{ratios[name]:.2f}" if name in ratios else "" for name in NAMES if name != "limbeck"]
    return cells(row["work"], *times, *faster, ", ".join(aims), ", ".join(landed))


def ratio(peers, name):
    pairs = zip(peers[name]["ms"], peers["limbeck"]["ms"])
    return statistics.median(theirs / ours for theirs, ours in pairs)


def quickest(peers, name):
    return min(peers[name]["ms"]) / min(peers["limbeck"]["ms"])


def reached(usual, quick, least):
    """A goal is met only where both ratios reach it: on a busy machine some peers suffer more than others."""
    return verdict(f"{usual:.2f}x, {quick:.2f}x", min(usual, quick) >= least)


def time_of(ms, flops):
    median = statistics.median(ms)
    text = f"{digits(median)}, {digits(min(ms))} to {digits(max(ms))}"
    return f"{text} ({flops / median / 1e6:.1f} GFLOP/s)" if flops else text


def digits(number):
    return f"{number:.0f}" if number >= 100 else f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def verdict(text, met):
    return f"{text}: met" if met else f"**{text}: missed**"


def costs(results):
    """What is no time of a run."""
    built = results["footprint"]
    lines = []
    row = next((row for row in results["rows"] if row["work"] == "CNN training step"), None)
    if row:
        first = {name: peer["first_s"] for name, peer in row["peers"].items()}
        lines.append(cost("first CNN step, cold, s", first, 5))
    for work in ("CNN training step", "ResNet-20 training step"):
        lines.append(cost(f"peak memory of the {work}, MiB", peak(results, work), None))
    lines.append(cost("release build, CPU minutes", pick(built, "cpu_s", 1 / 60), None))
    lines.append(cost("crates in the tree", pick(built, "crates", 1), 150))
    lines.append(cost("stripped program, MB", pick(built, "megabytes", 1), 15))
    return lines


def peak(results, work):
    rows = [row for row in results["rows"] if row["work"] == work]
    return {name: peer["peak_mib"] for row in rows for name, peer in row["peers"].items()}


def pick(built, key, scale):
    return {name: made[key] * scale for name, made in built.items() if key in made}


def cost(name, values, most):
    shown = [digits(values[peer]) if peer in values else "" for peer in NAMES]
    if most is None or "limbeck" not in values:
        return cells(name, *shown, "", "")
    return cells(name, *shown, f"under {most}", verdict(digits(values["limbeck"]), values["limbeck"] < most))
