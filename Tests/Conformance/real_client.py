#!/usr/bin/env python3
"""Runs the real Bcfg2 1.3.4 client against two servers and compares what it reports (Python 3.9+).

  real_client.py --client PREFIX --server CMD [--reference CMD] [--cases DIR] [NAME ...]

PREFIX is a Python 2.7 environment with Bcfg2 1.3.4 (PREFIX/bin/bcfg2); the reference server is the one in it. For each
case (default: first-run and two more) both servers are started on a copy of the case's repository, and
`bcfg2 -n -v -q -O` is run against each. The numbers of correct, incorrect, managed and unmanaged entries, the entries
that it lists, and the exit status must be the same.
"""
import argparse, concurrent.futures, os, re, subprocess, sys, tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import conform

REPORTED = re.compile(r"^((?:Correct|Incorrect|Total managed|Unmanaged) entries:\s*\d+|\s+\w+:\S.*)$")


def client_conf(server, pki):
    path = os.path.join(server.work, "client.conf")
    with open(path, "w") as f:
        f.write("[communication]\npassword = %s\nca = %s\nuser = root\nprotocol = xmlrpc/ssl\n"
                "[components]\nbcfg2 = https://localhost:%d\n[client]\ndrivers = POSIX\n"
                % (conform.PASSWORD, pki.ca, server.port))
    return path


def report(command, case, pki, client):
    """(exit status, lines that the client reported) of one run against the server that `command` starts."""
    with tempfile.TemporaryDirectory(prefix="real-client-") as work:
        server = conform.Server(command, case, work, pki)
        server.start()
        try:
            run = subprocess.run([os.path.join(client, "bin", "bcfg2"), "-n", "-v", "-q", "-O", "-C", client_conf(server, pki)],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, text=True)
        finally:
            server.stop()
        lines = [line.rstrip() for line in run.stdout.splitlines() if REPORTED.match(line)]
        if not any(line.startswith("Total managed") for line in lines):
            raise RuntimeError("the client reported nothing:\n%s\nserver: %s" % (run.stdout[-2000:], server.tail()))
        return run.returncode, lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["first-run", "rules-merging", "bundler-conditionals"])
    parser.add_argument("--client", required=True)
    parser.add_argument("--server", required=True)
    parser.add_argument("--reference")
    parser.add_argument("--cases", default=os.path.join(conform.HERE, "cases"))
    options = parser.parse_args()
    reference = options.reference or os.path.join(options.client, "bin", "bcfg2-server")
    failed = 0
    with tempfile.TemporaryDirectory(prefix="real-client-pki-") as folder:
        pki = conform.Pki(folder)
        cases = conform.load(options.cases, options.names)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:  # the Python server's start is mostly waiting
            runs = {(case["name"], command): pool.submit(report, command, case, pki, options.client)
                    for case in cases for command in (options.server, reference)}
        for case in cases:
            ours, theirs = runs[case["name"], options.server].result(), runs[case["name"], reference].result()
            same = ours == theirs
            failed += not same
            print("%s %s" % ("ok  " if same else "FAIL", case["name"]))
            print("\n".join("     " + line for line in ours[1][:4]))
            if not same:
                print("    ours %r\n    theirs %r" % (ours, theirs))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
