"""Prints measurements beside their targets, as a table in Markdown."""


def find(figures, path):
    for key in path.split("/"):
        figures = figures.get(key) if isinstance(figures, dict) else None
    return figures


def show(value, unit):
    if value is None:
        return "-"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return "%.*f%s" % (digits, value, unit)


class Row:
    """One target: its title, the path of the figure, its bound, and the path of the absolute figure behind it."""

    def __init__(self, what, path, bound, at_least=True, unit="", scale=1, of=None):
        self.what, self.path, self.bound, self.at_least = what, path, bound, at_least
        self.unit, self.scale, self.of = unit, scale, of

    def cells(self, figures):
        value = find(figures, self.path)
        value = None if value is None else value * self.scale
        target = ("" if self.at_least else "at most ") + show(self.bound, self.unit)
        verdict = "-" if value is None else "yes" if (
            value >= self.bound if self.at_least else value <= self.bound) else "no"
        note = []
        for server in ("ours", "python", "nginx"):
            rate = find(figures, "%s/%s/requests_per_cpu_second" % (self.of, server)) if self.of else None
            if rate:
                spread = find(figures, "%s/%s/spread" % (self.of, server))
                note.append("%s %s/s%s" % (server, show(rate, ""), " (%s to %s)" % tuple(
                    show(v, "") for v in spread) if spread and spread[0] != spread[1] else ""))
        return [self.what, target, show(value, self.unit), verdict, ", ".join(note)]


def warm(site, load):
    return "sites/%s/warm/%s" % (site, load)


def ratio(site, load, other):
    return "%s/ratios/per_cpu_to_%s" % (warm(site, load), other)


ROWS = [
    Row("GetConfig cached, new connection each, to nginx", ratio("large", "getconfig-new", "nginx"), 1.0,
        of=warm("large", "getconfig-new")),
    Row("the same, to Python 1.3.4", ratio("large", "getconfig-new", "python"), 500),
    Row("GetConfig cached, kept connection, 648 kB, to nginx", ratio("large", "getconfig-keep", "nginx"), 1.2,
        of=warm("large", "getconfig-keep")),
    Row("GetConfig cached, kept connection, 34 kB, to nginx", ratio("small", "getconfig-keep", "nginx"), 1.4,
        of=warm("small", "getconfig-keep")),
    Row("GetProbes, new connection each, to nginx", ratio("large", "getprobes-new", "nginx"), 0.9,
        of=warm("large", "getprobes-new")),
    Row("the same, to Python 1.3.4", ratio("large", "getprobes-new", "python"), 4),
    Row("GetConfig built, 900 entries, CPU", "sites/large/build/ours/cpu_ms_per_request", 3, False, " ms",
        of="sites/large/build"),
    Row("the same, to Python 1.3.4", "sites/large/build/ratios/per_cpu_to_python", 200),
    Row("edit to the first right answer, beyond the build", "sites/large/edit/ours/beyond_build_ms", 5, False, " ms"),
    Row("start to first right answer, 845 files", "sites/large/start/ours/to_first_right_answer_ms", 0.15, False, " s",
        0.001),
    Row("start to first right answer, 4,955 files", "sites/huge/start/ours/to_first_right_answer_ms", 0.6, False, " s",
        0.001),
    Row("memory at rest, small repository", "sites/small/rest_kb/ours/rss", 16, False, " MB", 1 / 1024),
    Row("memory after every client's answer, default cache", "sites/large/served_kb/ours/rss", 64, False, " MB",
        1 / 1024),
    Row("the same, no cache", "sites/large/served_without_cache_kb/ours/rss", 32, False, " MB", 1 / 1024),
    Row("cost of a build, 20,000 clients to 100", "growth/build_cost_ratio", 1.1, False),
    Row("memory of one more known client", "growth/bytes_per_known_client", 200, False, " B"),
]


def markdown(figures):
    """The table, with a description of the machine."""
    machine, versions, options = figures["machine"], figures["versions"], figures["options"]
    lines = ["%s CPUs (%s), Linux %s, %s, load average %.1f; %s. Revision %s, %s. Rounds of %s s: %s. Whole run: %s s." % (
        machine["cpus"], machine["cpu"], machine["kernel"], machine["openssl"], machine["load_average"],
        "; ".join(versions.values()), machine["revision"], machine["time"], show(options["seconds"], ""),
        options["rounds"], show(figures.get("seconds"), "")), ""]
    same = {site: found["same_answer"] for site, found in figures["sites"].items() if "same_answer" in found}
    for site, equal in same.items():
        lines.append("Ours and Python's answered the %s configuration on the site %s." % (
            "same" if equal else "NOT THE SAME", site))
    if same:
        lines.append("")
    lines += ["| What | Target | Measured | Reached | Requests per CPU second (lowest and highest round) |",
              "|---|---|---|---|---|"]
    lines += ["| %s |" % " | ".join(row.cells(figures)) for row in ROWS]
    return "\n".join(lines)
