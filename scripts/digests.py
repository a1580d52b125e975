#!/usr/bin/env python3
"""Digests of what limbeck made, for scripts/bits.sh.

    digests.py FOLDER | FILE.safetensors | FILE.json    lines of `sha256  part  name`
    digests.py --compare BEFORE NOW                     what differs; fails where it is more than metadata
"""

import hashlib
import json
import os
import struct
import sys

# What a line of metrics.jsonl says of the run itself, and not of the clock or the names.
COUNTS = ("epoch", "step", "learning_rate", "loss", "accuracy", "loss_scale", "skipped_steps")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def tensors(path):
    """A digest of names, shapes and bytes; of no metadata and no offsets."""
    with open(path, "rb") as file:
        data = file.read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    digest = hashlib.sha256()
    for name, entry in sorted(header.items()):
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        digest.update(json.dumps([name, entry["dtype"], entry["shape"]]).encode())
        digest.update(data[begin:end])
    return digest.hexdigest()


def log(path):
    """A digest of what was counted, line by line. Runs keep their order; the terms of a loss are sorted by value. The loss of
    held-out images does not count: limbeck 0.1 did not measure it."""
    lines = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            if record["split"] != "train":
                record["loss"] = None
            terms = sorted(record.get("terms", {}).values(), key=str)
            # limbeck 0.1 did not measure the loss of held-out samples.
            if record["split"] != "train":
                record["loss"] = None
            lines.append([*(record.get(key) for key in COUNTS), terms])
    return sha256(json.dumps(lines).encode())


def answer(path):
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    return sha256(json.dumps([found["images"], found["correct"]]).encode())


def digests(path):
    """(digest, part) of a file; none for those that hold more than results: checkpoints, pages, settings."""
    name = os.path.basename(path)
    if name.endswith(".safetensors") and not name.startswith("checkpoint-"):
        with open(path, "rb") as file:
            return [(tensors(path), "tensors"), (sha256(file.read()), "file")]
    if name == "metrics.jsonl":
        return [(log(path), "log")]
    return []


def files(path):
    if os.path.isfile(path):
        return [path]
    found = (os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names)
    return sorted(found)


def read(path):
    """The lines of an earlier call: (part, name) to digest."""
    with open(path, encoding="utf-8") as file:
        rows = (line.rstrip("\n").split("  ", 2) for line in file)
        return {(part, name): digest for digest, part, name in rows}


def compare(before, now):
    before, now = read(before), read(now)
    different = [key for key in before.keys() | now.keys() if before.get(key) != now.get(key)]
    for part, name in sorted(different, key=lambda key: (key[1], key[0])):
        kind = "missing now" if (part, name) not in now else "new" if (part, name) not in before else "differs"
        print(f"{kind}: {part} of {name}")
    serious = [key for key in different if key[0] != "file"]
    print(f"{len(now)} digests, {len(different)} differ, {len(different) - len(serious)} of them in metadata alone")
    return 1 if serious else 0


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "--compare":
        raise SystemExit(compare(sys.argv[2], sys.argv[3]))
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    path = sys.argv[1]
    if path.endswith(".json"):
        print(f"{answer(path)}  answer  {os.path.splitext(path)[0]}")
        return
    for file in files(path):
        for digest, part in digests(file):
            print(f"{digest}  {part}  {file}")


if __name__ == "__main__":
    main()
