"""Programs that a script needs and starts: where they are, in the background, and what the script says in the end."""
import glob
import os
import shutil
import subprocess
import sys


class Missing(Exception):
    """A program, or a library, that is not installed."""


def program(name, folders=()):
    """The path of a program: in the newest of some folders, else on PATH, or where root has it."""
    for folder in folders:
        found = sorted(glob.glob(os.path.join(folder, name)))
        if found:
            return found[-1]
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if not found:
        raise Missing(name)
    return found


class Background:
    """A program that runs beside the script, with its output in a file."""

    def __init__(self, log):
        self.log, self.process = open(log, "ab"), None

    def begin(self, *words):
        self.process = subprocess.Popen(words, stdout=self.log, stderr=self.log)

    def stop(self):
        """Kills it, also where it is stopped by a signal."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


def finish(wrong, folder, keep, good):
    """Says what is wrong, and where the logs are, or that all is good; ends the script, with status 1 or 0."""
    for line in wrong:
        print("WRONG: " + line)
    if wrong or keep:
        print("logs: %s" % folder)
    else:
        shutil.rmtree(folder, ignore_errors=True)
        print(good)
    sys.exit(1 if wrong else 0)
