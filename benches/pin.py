#!/usr/bin/env python3
"""Runs a program with its two busiest threads each on a core of its own: for measurements on lavapipe (Linux).

    python3 benches/pin.py target/release/limbeck bench kernels --filter gemm

lavapipe gives each of its threads one half of every dispatch. For seconds at a time Linux may run both threads on one core
while the other one idles, and all kernels take up to twice as long.
"""

import os
import subprocess
import sys
import time

CORES = 2
# Seconds between looks, and the hundredths of a second of CPU time that make a thread a busy one meanwhile.
EVERY, BUSY = 0.2, 5


def cpu_time(process, thread):
    """Hundredths of a second that a thread has run."""
    with open(f"/proc/{process}/task/{thread}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def busiest(process, seen):
    """The threads that ran most since the last look, which `seen` remembers."""
    ran = []
    for thread in os.listdir(f"/proc/{process}/task"):
        try:
            now = cpu_time(process, thread)
        except OSError:
            continue  # it has ended
        ran.append((now - seen.get(thread, now), thread))
        seen[thread] = now
    return [thread for time, thread in sorted(ran, reverse=True)[:CORES] if time >= BUSY]


def pin(thread, core):
    os.sched_setaffinity(int(thread), {core % CORES})


def main():
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    running, seen, pinned = subprocess.Popen(sys.argv[1:]), {}, []
    while running.poll() is None:
        time.sleep(EVERY)
        try:
            for thread in busiest(running.pid, seen):
                # The first thread prepares, and then waits for the others.
                if thread not in [str(running.pid), *pinned]:
                    pin(thread, len(pinned))
                    pinned.append(thread)
        except OSError:
            continue  # the program or a thread has ended
    raise SystemExit(running.returncode)


if __name__ == "__main__":
    main()
