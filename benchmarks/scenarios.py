"""The measurements: each function returns figures as plain values, in the units of their names."""
import base64
import http.client
import json
import os
import ssl
import statistics
import subprocess
import time
import xml.etree.ElementTree as ET
import xmlrpc.client

HERE = os.path.dirname(os.path.abspath(__file__))
LOAD = os.path.join(HERE, "..", ".build", "benchmarks", "bcfg2-load")


def load(server, cpu, *arguments):
    """Runs the load generator on its own CPU; returns its JSON and the server's CPU seconds meanwhile."""
    command = ["taskset", "-c", str(cpu), LOAD, "--ca", os.path.join(server.pki, "ca.crt"), "--groups", "X25519"]
    if server.name != "nginx":
        command += ["--clients", os.path.join(server.dir, "load", "clients.txt"),
                    "--password", server.site["password"],
                    "--probe-data", os.path.join(server.dir, "load", "probe-data.xml"),
                    "--stats", os.path.join(server.dir, "load", "stats.xml")]
    before = server.cpu_seconds()
    run = subprocess.run(command + list(map(str, arguments)) + ["127.0.0.1:%d" % server.port],
                         capture_output=True, text=True)
    if run.returncode not in (0, 1):
        raise RuntimeError("bcfg2-load: %s" % run.stderr)
    result = json.loads(run.stdout)
    result["server_cpu_seconds"] = server.cpu_seconds() - before
    return result


class Caller:
    """One client by its uuid. It keeps the connection if the server does; otherwise the next call makes another."""

    def __init__(self, server, client=0, timeout=60):
        context = ssl.create_default_context(cafile=os.path.join(server.pki, "ca.crt"))
        context.check_hostname = False
        self.connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=timeout)
        login = base64.b64encode(b"uuid-%d:password-%d" % (client, client)).decode()
        self.headers = {"Content-Type": "text/xml", "Authorization": "Basic " + login}
        self.server = server

    def ask(self, method, *parameters):
        """The HTTP body of an answer."""
        self.connection.request("POST", "/RPC2", xmlrpc.client.dumps(parameters, method), self.headers)
        response = self.connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise RuntimeError("%s: %s: HTTP status %d" % (self.server.name, method, response.status))
        return body

    def close(self):
        self.connection.close()


def ask(server, method, *parameters, client=0, timeout=60):
    """One call of one client, on a connection of its own: the answer's value and the HTTP body."""
    caller = Caller(server, client, timeout)
    try:
        body = caller.ask(method, *parameters)
    finally:
        caller.close()
    return xmlrpc.client.loads(body)[0][0], body


def canonical(text):
    """An answer regardless of the order of entries and the spelling of booleans: equal for equal configurations."""
    def tree(element):
        attributes = {k: v.lower() if v.lower() in ("true", "false") else v for k, v in element.attrib.items()}
        children = sorted((tree(child) for child in element), key=lambda c: json.dumps(c, sort_keys=True))
        return [element.tag, attributes, (element.text or "") if not children else "", children]
    return tree(ET.fromstring(text))


def settled_config(server, seconds=120):
    """The answer to GetConfig once it is stable after a start: text and body."""
    deadline, last, same = time.monotonic() + seconds, None, 0
    while time.monotonic() < deadline:
        try:
            text, body = ask(server, "GetConfig")
        except (OSError, RuntimeError, xmlrpc.client.Fault, http.client.HTTPException):
            time.sleep(0.1)
            continue
        failures = sum("failure" in entry.attrib for bundle in ET.fromstring(text) for entry in bundle)
        same = same + 1 if text == last and not failures and len(ET.fromstring(text)) else 0
        if same == 3:
            return text, body
        last = text
        time.sleep(0.3)
    raise RuntimeError("%s: GetConfig does not settle: %s" % (server.name, server.tail()))


def figures(result):
    """The figures of one load: rates, CPU, latencies."""
    cpu, requests = result["server_cpu_seconds"], result["requests"]
    latency = result["latency_ms"]
    return {"requests_per_second": result["rate"], "cpu_ms_per_request": 1000 * cpu / requests if requests else None,
            "requests_per_cpu_second": requests / cpu if cpu else None, "p50_ms": latency["p50"],
            "p99_ms": latency["p99"], "max_ms": latency["max"], "handshake_p50_ms": result["handshake_ms"]["p50"],
            "requests": requests, "connections": result["connections"], "resumed": result["resumed"],
            "errors": result["errors"], "first_error": result["first_error"], "tls": result["tls"],
            "cipher": result["cipher"], "load_cpu_share": result["load_cpu_seconds"] / result["seconds"]}


def median_of(rounds):
    """The median of each number over the rounds; adds up errors."""
    result = dict(rounds[0])
    for key, value in rounds[0].items():
        if isinstance(value, (int, float)):
            values = [r[key] for r in rounds if r[key] is not None]
            result[key] = sum(values) if key == "errors" else statistics.median(values)
        elif isinstance(value, str):
            result[key] = next((r[key] for r in rounds if r[key]), "")
    result["rounds"] = len(rounds)
    result["spread"] = [min(r["requests_per_cpu_second"] or 0 for r in rounds),
                        max(r["requests_per_cpu_second"] or 0 for r in rounds)]
    return result


# The warm loads: arguments of bcfg2-load for a Bcfg2 server, and whether nginx has a counterpart.
WARM = {
    "getconfig-new": (["--call", "GetConfig"], "/GetConfig"),
    "getconfig-keep": (["--call", "GetConfig", "--keep-alive", "--login", "uuid", "--rotate"], "/GetConfig"),
    "getprobes-new": (["--call", "GetProbes"], "/GetProbes"),
    "getprobes-keep": (["--call", "GetProbes", "--keep-alive", "--login", "uuid", "--rotate"], "/GetProbes"),
    "run": (["--call", "run"], None),
}


def warm(servers, options, say, names=tuple(WARM)):
    """Runs the warm loads of these names on every server of one site in turn, for several rounds; medians, and ratios of ours."""
    for server in servers:
        # Each client has its first answer already: measures the cost of later ones.
        if server.name != "nginx":
            first_answers(server, options, options.python_clients if server.name == "python" else 10**9)
    result = {}
    for name in names:
        arguments, path = WARM[name]
        rounds = {server.name: [] for server in servers}
        for _ in range(options.rounds):
            for server in servers:
                if server.name == "nginx":
                    if not path:
                        continue
                    how = ["--get", path] + (["--keep-alive"] if "--keep-alive" in arguments else [])
                else:
                    how = arguments
                run = load(server, options.load_cpu, "--connections", options.connections,
                           "--seconds", options.seconds, *how)
                rounds[server.name].append(figures(run))
        result[name] = {key: median_of(value) for key, value in rounds.items() if value}
        result[name]["same_tls"] = len({(f["tls"], f["cipher"]) for f in result[name].values() if f["tls"]}) == 1
        result[name]["ratios"] = ratios(result[name])
        say(name, result[name])
    return result


def ratios(of):
    """Requests per CPU second of ours by those of the others: above 1, ours needs less."""
    ours = of.get("ours", {}).get("requests_per_cpu_second")
    return {"per_cpu_to_" + other: ours / of[other]["requests_per_cpu_second"]
            for other in ("python", "nginx")
            if ours and of.get(other, {}).get("requests_per_cpu_second")}


def beside_faults(servers, options):
    """GetConfig on new connections while peers are silent, slow, stalled and idle, which must not affect it."""
    faults = [argument for mode in ("silent-connect", "silent-handshake", "drip-handshake", "drip-headers", "drip-body",
                                    "stall-answer", "idle", "reset-answer")
              for argument in ("--fault", "%s=%d" % (mode, options.fault_peers))]
    result = {}
    for server in servers:
        how = ["--get", "/GetConfig"] if server.name == "nginx" else ["--call", "GetConfig"]
        run = load(server, options.load_cpu, "--connections", 4, "--seconds", options.seconds, "--timeout", 10,
                   "--fault-sources", 50, *faults, *how)
        result[server.name] = figures(run)
        result[server.name]["faults"] = run["faults"]
    result["ratios"] = ratios(result)
    return result


def first_answers(server, options, count):
    """CPU of the first GetConfig of each of `count` clients after a start: nothing is cached for them.

    One connection is kept, so that no handshake hides the build; Python closes it after each answer.
    """
    run = load(server, options.load_cpu, "--requests", min(count, server.site["clients"]), "--lengths-vary",
               "--keep-alive", "--login", "uuid", "--rotate")
    return figures(run)


def edit(server, path, content):
    """Replaces a file of the repository as an editor does: writes a new one and renames it."""
    path = os.path.join(server.repo, path)
    beside = os.path.join(os.path.dirname(path), "." + os.path.basename(path) + ".swp")
    with open(beside, "wb") as f:
        f.write(content)
    os.rename(beside, path)


def rebuilt_answers(server, options, count):
    """CPU of one GetConfig of each of `count` clients after an edit that affects all answers and outdates cached ones."""
    path = "Cfg/etc/bundle-000/server-00.conf/server-00.conf"
    with open(os.path.join(server.repo, path), "rb") as f:
        before = f.read()
    edit(server, path, before + b"edited for all\n")
    last = server.site["clients"] - 1  # not one of the counted clients, if there are more
    deadline = time.monotonic() + 60
    while "edited for all" not in ask(server, "GetConfig", client=last)[0]:
        if time.monotonic() > deadline:
            raise RuntimeError("%s: an edit of %s did not show within 60 s" % (server.name, path))
    result = first_answers(server, options, count)
    edit(server, path, before)
    return result


def edits(server, count):
    """Time from an edit to the end of the first answer with it, and the part of the build: after each edit another client
    without a cached answer sends a request, too. Both use kept connections."""
    path = "Cfg/etc/bundle-000/server-00.conf/server-00.conf"
    with open(os.path.join(server.repo, path), "rb") as f:
        before = f.read()
    one, other = Caller(server, 0), Caller(server, server.site["profiles"])  # the next client of the same profile
    one.ask("GetConfig")
    other.ask("GetConfig")
    latencies, builds, answers, cpu, cpu_build = [], [], 0, [], []
    try:
        for n in range(count):
            mark = b"edit number %d of this run" % n
            spent = server.cpu_seconds()
            began = time.monotonic()
            edit(server, path, before + mark + b"\n")
            while True:
                body = one.ask("GetConfig")
                answers += 1
                if mark in body:
                    break
                if time.monotonic() > began + 60:
                    raise RuntimeError("%s: an edit of %s did not show within 60 s" % (server.name, path))
            latencies.append(1000 * (time.monotonic() - began))
            # Work after the answer belongs to the edit, too.
            time.sleep(0.05)
            cpu.append(1000 * (server.cpu_seconds() - spent))
            spent, began = server.cpu_seconds(), time.monotonic()
            other.ask("GetConfig")
            builds.append(1000 * (time.monotonic() - began))
            time.sleep(0.02)
            cpu_build.append(1000 * (server.cpu_seconds() - spent))
    finally:
        one.close()
        other.close()
        edit(server, path, before)
    return {"edits": count, "p50_ms": statistics.median(latencies), "max_ms": max(latencies),
            "answers_per_edit": answers / count, "build_p50_ms": statistics.median(builds),
            "beyond_build_ms": statistics.median(latencies) - statistics.median(builds),
            "cpu_ms": statistics.median(cpu), "build_cpu_ms": statistics.median(cpu_build),
            "cpu_ms_beyond_build": statistics.median(cpu) - statistics.median(cpu_build)}


def start_to_first_answer(server, wanted):
    """Milliseconds from the start of the process to the end of its first correct GetConfig answer; it must not run yet."""
    server.stop()
    began = server.start()
    while True:
        try:
            body = Caller(server, timeout=10).ask("GetConfig")
            end, spent = time.monotonic(), server.cpu_seconds()
            # Checking the answer takes longer than serving it.
            if canonical(xmlrpc.client.loads(body)[0][0]) == wanted:
                return 1000 * (end - began), 1000 * spent
        except (OSError, RuntimeError, xmlrpc.client.Fault, http.client.HTTPException, ET.ParseError):
            if not server.alive():
                raise RuntimeError("%s ended: %s" % (server.name, server.tail()))
            time.sleep(0.002)
        if time.monotonic() > began + 120:
            raise RuntimeError("%s: no right answer within 120 s of its start" % server.name)


def at_rest(server, seconds=7):
    """Resident memory of a server after a request and a rest: ours releases the memory that only requests need."""
    ask(server, "GetProbes")
    asked = server.memory_kb()
    time.sleep(seconds)
    return dict(server.memory_kb(), rss_after_a_call=asked["rss"])


def builds(servers, options, count):
    """CPU of one build, and memory, on servers without a cache: in turn, so that all have the same noise. `servers` by name."""
    rounds = {name: [] for name in servers}
    for _ in range(options.growth_rounds + 1):
        for name, server in servers.items():
            # The first, uncounted round includes one-time work.
            rounds[name].append(first_answers(server, options, count))
    result = {}
    for name, server in servers.items():
        cpu = [r["cpu_ms_per_request"] for r in rounds[name][1:]]
        result[name] = {"cpu_ms": statistics.median(cpu), "cpu_ms_lowest": min(cpu), "cpu_ms_highest": max(cpu),
                        "rss_kb": server.memory_kb()["rss"], "errors": sum(r["errors"] for r in rounds[name])}
    return result


def idle_connections(server, options, count):
    """Resident memory of an idle TLS connection, in kB; None where it cannot be told from what else comes and goes."""
    return steady(lambda: idle_connections_once(server, options, count))


def steady(measure, attempts=3):
    """A measurement whose memory is more than nothing, of a few: the server releases memory of earlier loads some seconds late, on
    a busy machine also in the middle of one. None for the figure where none is."""
    for _ in range(attempts):
        result = measure()
        if result["kb_per_connection"] > 0:
            return result
    return dict(result, kb_per_connection=None)


def idle_connections_once(server, options, count, rest=7):
    # Ours releases the memory of what was before after five seconds.
    time.sleep(rest)
    before = server.memory_kb()
    how = ["--get", "/GetProbes"] if server.name == "nginx" else ["--call", "GetProbes"]
    command = [LOAD, "--connections", "0", "--fault", "silent-handshake=%d" % count, "--fault-sources", "100",
               "--announce"] + how + ["127.0.0.1:%d" % server.port]
    process = subprocess.Popen(["taskset", "-c", str(options.load_cpu)] + command, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    ready = process.stderr.readline()
    after = server.memory_kb()
    process.terminate()
    report = json.loads(process.communicate()[0])["faults"]["silent-handshake"]
    return {"connections": report["open_at_end"], "all_held": ready == "ready\n",
            "kb_per_connection": (after["rss"] - before["rss"]) / max(report["open_at_end"], 1)}
