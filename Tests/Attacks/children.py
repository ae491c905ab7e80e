#!/usr/bin/env python3
"""Asks for 250 configurations with a Trigger script that does not end by itself, and counts what the server started.

  children.py --server FILE [--configurations 250] [--programs 16]

Exit status 1 where more processes than allowed run at a time, more descriptors are open than they need, or a client has
to wait for them. The scripts wait on a pipe that is opened at the end, and then all of them run.
"""
import argparse
import os
import sys
import time

from target import Target, body_of

# Descriptors of one program: two outputs, its end, and what comes and goes while it is started.
DESCRIPTORS = 5


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True)
    parser.add_argument("--configurations", type=int, default=250)
    parser.add_argument("--programs", type=int, default=16)
    options = parser.parse_args()
    script = '#!/bin/sh\nfolder=$(dirname "$0")/../..\nread line < "$folder/pipe"\necho ran >> "$folder/told"\n'
    with Target(options.server, "Bundler,Cfg,Metadata,Trigger", {"Trigger/wait": (script, 0o755)},
                {"server": {"programs": options.programs}}) as target:
        os.mkfifo(target.path + "/pipe")
        resting = target.descriptors()
        failures, most, descriptors = [], 0, 0
        for _ in range(options.configurations):
            status, answer = target.call(body_of("GetConfig"))
            if status != 200 or b"/etc/motd" not in answer:
                failures.append("status %d for a configuration" % status)
            most = max(most, target.children())
            descriptors = max(descriptors, target.descriptors() - resting)
        print("%d configurations: %d processes and %d descriptors at most" % (
            options.configurations, most, descriptors))
        if not 0 < most <= options.programs:
            failures.append("%d processes at a time" % most)
        if descriptors > options.programs * DESCRIPTORS + 2:
            failures.append("%d descriptors" % descriptors)
        # A descriptor that stays open, so that each script that comes to read finds its line.
        pipe = os.open(target.path + "/pipe", os.O_RDWR)
        os.write(pipe, b"\n" * options.configurations)
        told, ran, deadline = target.path + "/told", 0, time.monotonic() + 300
        while ran < options.configurations and time.monotonic() < deadline:
            time.sleep(0.05)
            ran = open(told).read().count("\n") if os.path.exists(told) else 0
        os.close(pipe)
        if ran != options.configurations:
            failures.append("%d of %d scripts ran" % (ran, options.configurations))
    for failure in failures:
        print("BAD", failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
