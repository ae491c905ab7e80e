#!/usr/bin/env python3
"""YAML as PyYAML's safe_load reads it, for the server's reader.

    PYTHON=python2.7 compare.py record   writes expected.jsonl from documents.txt; PYTHON has PyYAML 5
    compare.py check                     compares expected.jsonl with the PyYAML that PYTHON has

A line of documents.txt is a document as Python's literal. Of each expected.jsonl has the value as JSON (dates and keys as
Python 2's str shows them, sets as mappings to null), or the line of the error; 0 where PyYAML tells none.
"""
import ast
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
DOCUMENTS = os.path.join(HERE, "documents.txt")
EXPECTED = os.path.join(HERE, "expected.jsonl")


def plain(value):
    """A value of PyYAML's as JSON can have it."""
    if isinstance(value, dict):
        return dict((key if isinstance(key, type(u"")) else str(key), plain(item)) for key, item in value.items())
    if isinstance(value, set):
        return dict((str(item), None) for item in value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, bool) or value is None or isinstance(value, float):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, type(u"")):
        return value
    if hasattr(value, "isoformat"):
        return str(value)
    return value if -2 ** 63 <= value < 2 ** 63 else float(value)


def worker():
    """Answers lines of JSON texts with what PyYAML makes of them."""
    import yaml
    for line in iter(sys.stdin.readline, ""):
        try:
            answer = {"value": plain(yaml.safe_load(json.loads(line)))}
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            answer = {"error": mark.line + 1 if mark else 0}
        except (yaml.YAMLError, ValueError, TypeError, RuntimeError, LookupError, AttributeError):
            answer = {"error": 0}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def read():
    with open(DOCUMENTS) as file:
        texts = [ast.literal_eval(line) for line in file if line.strip() and not line.startswith("#")]
    process = subprocess.Popen(
        [os.environ.get("PYTHON", sys.executable), os.path.abspath(__file__), "worker"], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE)
    lines = process.communicate("".join(json.dumps(text) + "\n" for text in texts).encode("ascii"))[0].decode("ascii")
    rows = []
    for text, line in zip(texts, lines.splitlines()):
        row = {"yaml": text}
        row.update(json.loads(line))
        rows.append(json.dumps(row, sort_keys=True))
    return rows


def main():
    command = sys.argv[1] if len(sys.argv) == 2 else ""
    if command == "worker":
        return worker()
    if command == "record":
        with open(EXPECTED, "w") as file:
            file.write("".join(row + "\n" for row in read()))
        return 0
    if command == "check":
        differing = [pair for pair in zip(read(), open(EXPECTED).read().splitlines()) if pair[0] != pair[1]]
        for now, recorded in differing:
            print("now %s\nrecorded %s" % (now, recorded))
        return 1 if differing else 0
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main())
