#!/usr/bin/env python3
"""Regular expressions as Python has them, for the type PythonRegex of the server.

    compare.py record [--random N] [--seed S] [--output FILE]
        Runs patterns on texts in Python 2.7 and writes what it finds, one JSON object a line. Without --random the
        patterns are those of patterns.txt, and the file is expected.jsonl, which `swift test` replays.
    compare.py check
        Compares expected.jsonl with the Python that runs this: every line with 2.7, with 3 those marked as the same.
    compare.py fuzz [--rounds N] [--count N] [--seed S]
        Records random patterns and replays each round by `swift test` (built before). Of 3,000 patterns a few differ:
        Python 2.7 may remember what a group captured in a part that failed, a lookahead above all. Nothing else may.

A line of patterns.txt is a pattern as Python's literal, a tab, and texts as literals with tabs between them; each
pattern is also tried on the texts of all lines near it.
Python 2.7 is PYTHON2 of the environment, or python2.7. Patterns that take Python longer than a second are left out.
"""
import argparse
import ast
import json
import os
import random
import re
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PATTERNS = os.path.join(HERE, "patterns.txt")
EXPECTED = os.path.join(HERE, "expected.jsonl")


class TooSlow(Exception):
    pass


def on_alarm(number, frame):
    raise TooSlow()


def spans(match):
    """Offsets of the whole and of the groups in bytes of UTF-8; None where a group took no part."""
    if match is None:
        return None
    text = match.string
    result = []
    for group in range(len(match.groups()) + 1):
        start, end = match.span(group)
        if start < 0:
            result.append(None)
        else:
            result.append([len(text[:start].encode("utf-8")), len(text[:end].encode("utf-8"))])
    return result


def are_sound(found):
    """False where Python 2.7 remembers half of a group: its end, from a part that failed, before its start."""
    return found is None or all(span is None or span[0] <= span[1] for span in found)


def look(pattern, texts):
    """What the running Python says of a pattern: True where it is refused, else a list for each text."""
    signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 1)
    try:
        try:
            regex = re.compile(pattern)
        except TooSlow:
            raise
        except Exception:
            return True
        return [{"match": spans(regex.match(text)), "search": spans(regex.search(text))} for text in texts]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def worker():
    """Answers lines of [pattern, texts] with what `look` says, null where it takes too long."""
    for line in iter(sys.stdin.readline, ""):
        pattern, texts = json.loads(line)
        try:
            answer = look(pattern, texts)
        except TooSlow:
            answer = None
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


class Python(object):
    """A Python that runs `worker`."""

    def __init__(self, program):
        self.process = subprocess.Popen(
            [program, "-W", "ignore", os.path.abspath(__file__), "worker"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)

    def look(self, pattern, texts):
        self.process.stdin.write((json.dumps([pattern, texts]) + "\n").encode("ascii"))
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline().decode("ascii"))


def python2():
    program = os.environ.get("PYTHON2", "python2.7")
    try:
        subprocess.check_output([program, "-c", "import sys; assert sys.version_info[:2] == (2, 7)"])
    except (OSError, subprocess.CalledProcessError):
        sys.exit("compare.py: no Python 2.7; name one in PYTHON2")
    return Python(program)


def read_patterns():
    lines = []
    with open(PATTERNS) as file:
        for line in file:
            line = line.rstrip("\n")
            if line and not line.startswith("#"):
                fields = [ast.literal_eval(field) for field in line.split("\t")]
                lines.append((fields[0], fields[1:]))
    rows = []
    for position, (pattern, texts) in enumerate(lines):
        near = [text for _, others in lines[max(position - 2, 0):position + 3] for text in others]
        rows.append((pattern, list(dict.fromkeys(texts + near))))
    return rows


class Generator(object):
    """Random patterns that say something: few letters, many constructions."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def text(self):
        letters = self.random.choice(["ab", "abc", "aAbB", "ab.-1", "a\n", "ab \n", u"a\u00e9\u00c9_", "01ab", "a-{},"])
        return "".join(self.random.choice(letters) for _ in range(self.random.randrange(9)))

    def character(self):
        return self.random.choice(list("aaabbcAB01.-_ \n{}],") + [
            r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", r"\.", r"\-", r"\x61", r"\141", r"\n", r"\q", r"\/", r"\t", ".", ".",
            u"\u00e9", r"\0", r"\z", r"\h", r"\e", r"\K", r"\Q", r"\E", r"\R", r"\G", r"\X", r"\N", r"\u"])

    def set(self):
        members = [self.random.choice([
            "a", "b", "a-c", "A-Z", "0-9", r"\d", r"\w", r"\s", r"\W", "-", "^", "[", "]", r"\]", r"\b", "&&", "[:alpha:]",
            ".", u"\u00e9", "_", r"\x41-\x43", r"\Q", "Z-a"]) for _ in range(self.random.randrange(1, 4))]
        return "[" + self.random.choice(["", "", "^"]) + "".join(members) + "]"

    def atom(self, depth):
        kind = self.random.randrange(24)
        if kind < 10 or depth <= 0:
            return self.character()
        if kind < 13:
            return self.set()
        if kind < 15:
            self.groups += 1
            return "(" + self.alternatives(depth - 1) + ")"
        if kind == 15:
            self.groups += 1
            name = "n%d" % self.groups
            self.names.append(name)
            return "(?P<%s>%s)" % (name, self.alternatives(depth - 1))
        if kind == 16:
            return "(?:" + self.alternatives(depth - 1) + ")"
        if kind == 17:
            return "(?%s%s)" % (self.random.choice(["=", "!"]), self.alternatives(depth - 1))
        if kind == 18:
            return "(?<%s%s)" % (self.random.choice(["=", "!"]), "".join(
                self.random.choice([self.character(), self.set()]) for _ in range(self.random.randrange(1, 3))))
        if kind == 19 and self.groups:
            return "\\%d" % self.random.randrange(1, self.groups + 1)
        if kind == 20 and self.names:
            return "(?P=%s)" % self.random.choice(self.names)
        if kind == 21 and self.groups:
            yes, no = self.sequence(depth - 1), self.sequence(depth - 1)
            return "(?(%d)%s%s)" % (self.random.randrange(1, self.groups + 1), yes, self.random.choice(["", "|" + no]))
        if kind == 22:
            return self.random.choice(["(?i)", "(?s)", "(?m)", "(?x)", "(?u)", "(?L)", "(?iu)", "(?#c)", "(?im)"])
        return self.random.choice(["^", "$", r"\A", r"\Z", r"\b", r"\B"])

    def sequence(self, depth):
        parts = []
        for _ in range(self.random.choice([0, 1, 1, 2, 2, 3])):
            part = self.atom(depth)
            if self.random.randrange(3) == 0:
                part += self.random.choice(["*", "+", "?", "*?", "+?", "??", "{2}", "{,2}", "{1,}", "{1,2}?", "{0}", "{,}"])
            parts.append(part)
        return "".join(parts)

    def alternatives(self, depth):
        return "|".join(self.sequence(depth) for _ in range(self.random.choice([1, 1, 1, 2, 3])))

    def row(self):
        self.groups = 0
        self.names = []
        return self.alternatives(3), [self.text() for _ in range(6)]


def write(rows, output):
    two, three = python2(), Python(sys.executable)
    count = 0
    with open(output, "w") as file:
        for pattern, texts in rows:
            said = two.look(pattern, texts)
            if said is None:
                continue
            same = three.look(pattern, texts) == said
            if said is True:
                file.write(json.dumps({"pattern": pattern, "refused": True, "python3": same}) + "\n")
                count += 1
                continue
            found = [
                [text, answer["match"], answer["search"]] for text, answer in zip(texts, said)
                if are_sound(answer["match"]) and are_sound(answer["search"])]
            file.write(json.dumps({"pattern": pattern, "found": found, "python3": same}) + "\n")
            count += len(found)
    print("%d patterns and texts in %s" % (count, output))


def check():
    wrong = count = 0
    for line in open(EXPECTED):
        row = json.loads(line)
        if sys.version_info[0] > 2 and not row["python3"]:
            continue
        found = row.get("found", [])
        said = look(row["pattern"], [text for text, _, _ in found])
        recorded = True if row.get("refused") else [{"match": match, "search": search} for _, match, search in found]
        count += 1
        if said != recorded:
            wrong += 1
            print("%r: %r" % (row["pattern"], said))
    print("%d patterns, %d differ" % (count, wrong))
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["record", "check", "fuzz", "worker"])
    parser.add_argument("--random", type=int, default=0)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output")
    options = parser.parse_args()
    if options.command == "worker":
        return worker()
    if options.command == "check":
        return check()
    generator = Generator(options.seed)
    if options.command == "record":
        rows = [generator.row() for _ in range(options.random)] if options.random else read_patterns()
        write(rows, options.output or EXPECTED)
        return 0
    top = os.path.dirname(os.path.dirname(HERE))
    output = os.path.join(top, ".build", "regex.jsonl")
    for _ in range(options.rounds):
        write([generator.row() for _ in range(options.count)], output)
        status = subprocess.call(
            ["swift", "test", "--skip-build", "--filter", "regularExpressionsFindWhatPythonFinds"], cwd=top,
            env=dict(os.environ, BCFG2_REGEX_TABLE=output))
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
