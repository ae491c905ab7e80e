#!/usr/bin/env python3
"""Measures bcfg2-server beside Python's Bcfg2 1.3.4 and nginx, on the same sites, in one run. See README.md.

  run.py --out figures.json    everything; less than a quarter of an hour
  run.py --quick               about two minutes
  run.py --table figures.json  the table of targets, in Markdown, from the figures of an earlier run
  run.py --only warm,start     some parts: warm build edit start memory faults growth
  run.py --check               compare with thresholds.json; status 1 where a figure is outside

Needs two CPUs: the server under load has one, the load the other.
"""
import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time

import scenarios
import servers
import table

HERE = os.path.dirname(os.path.abspath(__file__))
# Sites for measuring only the start, and only of our server.
START_ONLY = {"huge"}
PARTS = ["warm", "build", "edit", "start", "memory", "faults", "growth"]


def machine():
    def first(path, start):
        try:
            with open(path) as f:
                return next((line.partition(":")[2].strip() for line in f if line.startswith(start)), "")
        except OSError:
            return ""
    git = subprocess.run(["git", "-C", HERE, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return {"cpu": first("/proc/cpuinfo", "model name"), "cpus": os.cpu_count(), "memory": first("/proc/meminfo", "MemTotal"),
            "kernel": platform.release(), "system": first("/etc/os-release", "PRETTY_NAME") or platform.platform(),
            "openssl": subprocess.run(["openssl", "version"], capture_output=True, text=True).stdout.strip(),
            "revision": git.stdout.strip(), "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "load_average": os.getloadavg()[0]}


def number(value):
    if value is None:
        return "-"
    return "%d" % value if value >= 1000 else "%.3g" % value


def say(title, figures):
    print("  %s" % title)
    for server in ("ours", "python", "nginx"):
        f = figures.get(server)
        if f:
            print("    %-7s %9s req/s %9s req/CPU-s %9s ms CPU  p50 %8s  p99 %8s ms%s" % (
                server, number(f["requests_per_second"]), number(f["requests_per_cpu_second"]),
                number(f["cpu_ms_per_request"]), number(f["p50_ms"]), number(f["p99_ms"]),
                "  %d ERRORS: %s" % (f["errors"], f["first_error"][:100]) if f["errors"] else ""))
    if figures.get("same_tls") is False:
        print("    THE SERVERS CHOSE DIFFERENT TLS: %s" % {k: (f["tls"], f["cipher"]) for k, f in figures.items()
                                                        if isinstance(f, dict) and "tls" in f})
    if figures.get("ratios"):
        print("    %s" % "  ".join("%s %.2f" % (k, v) for k, v in sorted(figures["ratios"].items())))
    sys.stdout.flush()


def plain(title, figures):
    print("  %s" % title)
    for server, f in figures.items():
        print("    %-7s %s" % (server, "  ".join(
            "%s %s" % (k, number(v)) for k, v in f.items() if isinstance(v, (int, float)) and not isinstance(v, bool))))
    sys.stdout.flush()


def measure_site(preset, kinds, options, work, pki):
    """All parts on one site. Servers are started and loaded in turn, and keep running."""
    print("site %s" % preset)
    result, running = {}, []
    try:
        for kind in kinds:
            if kind is not servers.Nginx:
                running.append(kind(work, preset, pki, options.server_cpu))
        bodies, wanted = {}, {}
        # Start, rest, first answers: one server at a time, on an idle machine.
        for part in ("start", "rest_kb", "build", "rebuild", "served_kb"):
            result[part] = {}
        for server in running:
            server.start()
            server.wait_for_port()
            text, body = scenarios.settled_config(server)
            wanted[server.name], bodies[server.name] = scenarios.canonical(text), body
            server.stop()
            server.port = servers.free_port()
            rewrite_port(server)
            times = []
            for _ in range(options.starts):
                if times:
                    server.port = servers.free_port()
                    rewrite_port(server)
                times.append(scenarios.start_to_first_answer(server, wanted[server.name]))
            times.sort()
            milliseconds, cpu = times[len(times) // 2]
            result["start"][server.name] = {"to_first_right_answer_ms": milliseconds, "cpu_ms": cpu}
            if preset in START_ONLY:
                continue
            result["rest_kb"][server.name] = scenarios.at_rest(server)
            if "build" in options.parts:
                result["build"][server.name] = scenarios.first_answers(
                    server, options, options.python_clients if server.name == "python" else 10**9)
            result["served_kb"][server.name] = server.memory_kb()
            if "build" in options.parts:
                result["rebuild"][server.name] = scenarios.rebuilt_answers(server, options, options.python_clients)
        if len(wanted) == 2:
            result["same_answer"] = wanted["ours"] == wanted["python"]
            print("  ours and python answer the same configuration: %s" % result["same_answer"])
        result["answer_bytes"] = {name: len(body) for name, body in bodies.items()}
        plain("start", result["start"])
        if preset in START_ONLY:
            return result
        if "build" in options.parts and servers.Ours in kinds:
            result["served_without_cache_kb"] = {"ours": served_without_cache(work, preset, pki, options)}
        plain("memory at rest, kB", result["rest_kb"])
        if "build" in options.parts:
            for title, part in (("first answer of each client", "build"), ("after an edit in all answers", "rebuild")):
                result[part]["ratios"] = scenarios.ratios(result[part])
                say(title, result[part])
        plain("memory after these clients, kB", result["served_kb"])
        if "served_without_cache_kb" in result:
            plain("the same with [caching] configurations = 0, kB", result["served_without_cache_kb"])
        if servers.Nginx in kinds:
            nginx = servers.Nginx(work, preset, pki, options.server_cpu, ["--clients", "1", "--bundles", "1"])
            source = running[0]
            nginx.serve("/GetConfig", bodies[source.name])
            nginx.serve("/GetProbes", scenarios.ask(source, "GetProbes")[1])
            running.append(nginx)
            nginx.start()
            nginx.wait_for_port()
        if "warm" in options.parts:
            result["warm"] = scenarios.warm(running, options, say)
        bcfg = [server for server in running if server.name != "nginx"]
        if "edit" in options.parts:
            result["edit"] = {server.name: scenarios.edits(server, options.edits) for server in bcfg}
            plain("edit to first right answer", result["edit"])
        if "memory" in options.parts:
            result["idle"] = {server.name: scenarios.idle_connections(server, options, options.idle)
                              for server in running if server.name != "python"}
            plain("idle TLS connections", result["idle"])
            for name, f in result["idle"].items():
                if f["kb_per_connection"] is None:
                    print("    %-7s releases memory meanwhile: no figure; measure on an idle machine" % name, flush=True)
        if "faults" in options.parts:
            # Python 1.3.4 shakes hands inside accept: the first silent peer blocks it.
            result["faults"] = scenarios.beside_faults([s for s in running if s.name != "python"], options)
            say("GetConfig beside faulty peers", result["faults"])
        for server in running:
            if not server.alive():
                raise RuntimeError("%s did not survive the run: %s" % (server.name, server.tail()))
    finally:
        for server in running:
            server.stop()
    return result


def rewrite_port(server):
    path = os.path.join(server.dir, "bcfg2.conf")
    with open(path) as f:
        lines = [("bcfg2 = https://127.0.0.1:%d\n" % server.port) if line.startswith("bcfg2 = ") else line for line in f]
    with open(path, "w") as f:
        f.writelines(lines)


def served_without_cache(work, preset, pki, options):
    """Memory without a cache, after each client got its answer."""
    server = servers.Ours(os.path.join(work, "without-cache"), preset, pki, options.server_cpu, ["--configurations", "0"])
    try:
        server.start()
        server.wait_for_port()
        scenarios.settled_config(server)
        scenarios.first_answers(server, options, 10**9)
        return server.memory_kb()
    finally:
        server.stop()


def measure_growth(options, work, pki):
    """The small site with growing numbers of clients: costs of one build, the start and memory. All servers run at once and
    are loaded in turn; every answer is built."""
    print("growth: small site, more clients")
    running, starts = {}, {}
    try:
        for clients in options.growth:
            server = servers.Ours(os.path.join(work, "growth-%d" % clients), "small", pki, options.server_cpu,
                                  ["--clients", str(clients), "--configurations", "0"])
            running[str(clients)] = server
            server.start()
            server.wait_for_port()
            scenarios.settled_config(server)
            starts[str(clients)] = 1000 * server.cpu_seconds()
        result = {"ours": scenarios.builds(running, options, options.growth_answers)}
        for clients, server in running.items():
            result["ours"][clients]["start_and_settle_cpu_ms"] = starts[clients]
            # Each of the many connects once.
            few = scenarios.load(server, options.load_cpu, "--requests", options.growth_answers, "--lengths-vary",
                                 "--keep-alive", "--login", "uuid", "--rotate", "--client-limit", min(options.growth))
            result["ours"][clients]["cpu_ms_of_the_same_clients"] = 1000 * few["server_cpu_seconds"] / few["requests"]
    finally:
        for server in running.values():
            server.stop()
    for clients, row in result["ours"].items():
        print("    ours    %6s clients: %s" % (clients, "  ".join("%s %s" % (k, number(v)) for k, v in row.items())),
              flush=True)
    first, last = (result["ours"][str(n)] for n in (options.growth[0], options.growth[-1]))
    result["build_cost_ratio"] = last["cpu_ms"] / first["cpu_ms"]
    result["bytes_per_known_client"] = 1024 * (last["rss_kb"] - first["rss_kb"]) / (options.growth[-1] - options.growth[0])
    plain("the most by the fewest", {"ours": {k: result[k] for k in ("build_cost_ratio", "bytes_per_known_client")}})
    return result


def check(figures, path):
    """Compares with the thresholds: returns the figures outside."""
    with open(path) as f:
        thresholds = json.load(f)["thresholds"]
    outside = []
    for name, bounds in thresholds.items():
        value = figures
        for key in name.split("/"):
            value = value.get(key) if isinstance(value, dict) else None
        if value is None:
            outside.append("%s was not measured" % name)
        elif "min" in bounds and value < bounds["min"] or "max" in bounds and value > bounds["max"]:
            outside.append("%s is %s, wanted %s" % (name, number(value), bounds))
    return outside


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shorter loads, without the growth of the small site")
    parser.add_argument("--sites", default="large,small,huge")
    parser.add_argument("--only", help="parts: " + ",".join(PARTS))
    parser.add_argument("--servers", default="ours,python,nginx")
    parser.add_argument("--binary", help="bcfg2-server to measure", default=servers.Ours.binary)
    parser.add_argument("--python", metavar="DIR", help="environment with Bcfg2 1.3.4", default=servers.Python.environment)
    parser.add_argument("--seconds", type=float, help="duration of each load")
    parser.add_argument("--rounds", type=int, help="rounds of each load on each server")
    parser.add_argument("--connections", type=int, default=8, help="at a time")
    parser.add_argument("--server-cpu", type=int, default=0)
    parser.add_argument("--load-cpu", type=int, default=1)
    parser.add_argument("--out", help="file for the figures, JSON")
    parser.add_argument("--check", action="store_true", help="compare with thresholds.json")
    parser.add_argument("--table", metavar="JSON", help="only print the table of these figures")
    parser.add_argument("--keep", action="store_true", help="keep the working folder")
    options = parser.parse_args()
    quick = options.quick
    options.parts = options.only.split(",") if options.only else [p for p in PARTS if not (quick and p == "growth")]
    if set(options.parts) - set(PARTS):
        parser.error("--only: %s are the parts" % ",".join(PARTS))
    options.seconds = options.seconds or (1 if quick else 4)
    options.rounds = options.rounds or (1 if quick else 3)
    options.starts, options.edits, options.idle = (1, 3, 200) if quick else (3, 20, 1000)
    options.python_clients, options.fault_peers = (10, 5) if quick else (40, 20)
    options.growth = [100, 20000] if quick else [100, 1000, 5000, 20000]
    options.growth_rounds, options.growth_answers = (3, 100) if quick else (9, 500)
    return options


def main():
    options = parse()
    if options.table:
        with open(options.table) as f:
            print(table.markdown(json.load(f)))
        return
    # The measuring process too stays away from the servers' CPU.
    os.sched_setaffinity(0, {options.load_cpu})
    servers.Ours.binary, servers.Python.environment = os.path.abspath(options.binary), os.path.abspath(options.python)
    if os.cpu_count() < 2:
        sys.exit("run.py: one CPU only: server and load would take each other's time")
    subprocess.run(["make", "-s", "-C", os.path.join(HERE, "load")], check=True)
    kinds, versions = [], {}
    for kind in (servers.Ours, servers.Python, servers.Nginx):
        if kind.name in options.servers.split(","):
            missing = kind.missing()
            if missing:
                print("%s is left out: %s" % (kind.name, missing))
                continue
            kinds.append(kind)
            versions[kind.name] = kind.version()
    if not any(kind is not servers.Nginx for kind in kinds):
        sys.exit("run.py: no Bcfg2 server to measure")
    figures = {"machine": machine(), "versions": versions,
               "options": {k: getattr(options, k) for k in ("quick", "seconds", "rounds", "connections", "parts")},
               "sites": {}}
    print(json.dumps({"machine": figures["machine"], "versions": versions}, indent=1))
    began = time.monotonic()
    work = tempfile.mkdtemp(prefix="bcfg2-benchmark-")
    os.chmod(work, 0o755)
    try:
        pki = os.path.join(work, "pki")
        for preset in options.sites.split(","):
            of_site = [k for k in kinds if k is servers.Ours] if preset in START_ONLY else kinds
            if any(kind is not servers.Nginx for kind in of_site):
                figures["sites"][preset] = measure_site(preset, of_site, options, work, pki)
        if "growth" in options.parts and servers.Ours in kinds:
            figures["growth"] = measure_growth(options, work, pki)
        figures["seconds"] = time.monotonic() - began
        print(table.markdown(figures))
    finally:
        if options.keep:
            print("kept: %s" % work)
        else:
            shutil.rmtree(work, ignore_errors=True)
        if options.out:
            with open(options.out, "w") as f:
                json.dump(figures, f, indent=1)
                f.write("\n")
    if options.check:
        outside = check(figures, os.path.join(HERE, "thresholds.json"))
        print("\n".join(outside) or "every figure is within thresholds.json")
        sys.exit(1 if outside else 0)


if __name__ == "__main__":
    servers.unwind_at_signals()
    main()
