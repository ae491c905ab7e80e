"""What the figures of soak.py say of memory, descriptors and latencies."""
import bisect
import collections

import trend

# kB that memory may grow in a thousand runs. Renderers and the helpers that wait for disk and names have little to do with runs,
# and are killed before they have their size: a renderer that is left alone grows by 0.9 MB in its first thousand edits, then no more.
MEMORY_LIMIT, HELPER_LIMIT = 1.0, 50.0
HELPERS = {"renderer", "sync helper", "resolver", "database helper", "other"}
# kB by which two looks at the heap differ though nothing was left on it: which answers are in the caches is chance.
HEAP_SPREAD = 128
# How much of their mean latencies may grow in the whole time.
LATENCY_LIMIT = 0.5
BLOCKS = 30


def runs_at(reports, began):
    """A function from a time to the number of runs until then."""
    times, counts = [began], [0]
    for report in reports:
        times.append(report["at"])
        counts.append(counts[-1] + report["runs"])

    def at(moment):
        k = min(max(bisect.bisect(times, moment), 1), len(times) - 1)
        share = (moment - times[k - 1]) / ((times[k] - times[k - 1]) or 1)
        return counts[k - 1] + min(max(share, 0), 1) * (counts[k] - counts[k - 1])
    return at


def memory_trends(rows, runs, key):
    """Growth in kB per thousand runs of each kind of process: processes that are replaced share a slope."""
    lives = collections.defaultdict(list)
    for row in rows:
        for process in row["processes"]:
            lives[process["role"], process["pid"]].append((runs(row["at"]) / 1000, process[key]))
    # A process first grows to its size: that is the start, not the way on.
    kinds = collections.defaultdict(list)
    for (role, _), points in lives.items():
        rest = points if role == "server" else points[len(points) // 4:]
        if len(rest) >= 8:
            kinds[role].append(trend.blocks(rest, BLOCKS))
    result = {}
    for role, series in kinds.items():
        value, half = trend.slope(*series)
        limit = HELPER_LIMIT if role in HELPERS else MEMORY_LIMIT
        result[role] = {"slope": value, "half": half, "verdict": trend.verdict(value, half, limit), "limit": limit,
                        "from": series[0][0][1], "to": series[-1][-1][1], "processes": len(series)}
    return result


def heap_growth(at_rest, runs):
    """kB in a thousand runs that processes have allocated and do not free, by their roles."""
    before, after = at_rest
    return {role: 1000 * (after["heap"][role] - before["heap"][role]) / max(runs, 1) for role in before["heap"]}


def descriptor_growth(rows, runs):
    """Descriptors of each kind of process that stays: the least in the first and in the last third, and their slope."""
    points = collections.defaultdict(list)
    for row in rows:
        counts = collections.defaultdict(int)
        for process in row["processes"]:
            counts[process["role"]] = max(counts[process["role"]], process["descriptors"])
        for role, count in counts.items():
            points[role].append((runs(row["at"]) / 1000, count))
    result = {}
    for role, series in points.items():
        if len(series) >= 9:
            third = len(series) // 3
            value, half = trend.slope(trend.blocks(series, BLOCKS))
            first, last = (min(y for _, y in part) for part in (series[:third], series[-third:]))
            grows = last > first and trend.verdict(value, half, 0) == trend.GROWS
            result[role] = {"first": first, "last": last, "slope": value, "half": half,
                            "verdict": trend.GROWS if grows else trend.STEADY}
    return result


def latency_trend(reports, quantile):
    """Growth of a quantile of the runs from the first interval to the last, as a share of the mean."""
    points = [(n / max(len(reports) - 1, 1), report["run_ms"][quantile]) for n, report in enumerate(reports)]
    mean = sum(value for _, value in points) / len(points) or 1
    value, half = trend.slope(points)
    return {"mean": mean, "slope": value / mean, "half": half / mean,
            "verdict": trend.verdict(value / mean, half / mean, LATENCY_LIMIT)}


def judge(result, check):
    """Sentences about what must not be."""
    found = ["%d answers of the load were missing or wrong: %s" % (
        result["errors"], result["first_error"])] if result["errors"] else []
    found += result["faults"]
    # What is shared with processes that end becomes a process's own, so that PSS changes without anything that grows. Where the heap
    # is known it decides: resident memory has the free pieces between, too, and follows the most that was ever needed at once.
    for role, row in sorted(result["memory"]["rss"].items()):
        if row["verdict"] == trend.GROWS and role not in result["heap"]:
            found.append("memory of %s grows by %.1f kB (± %.1f) in a thousand runs" % (role, row["slope"], row["half"]))
    for role, row in sorted(result["descriptors"].items()):
        # How many helpers the server has, and so sockets to them, depends on the moment: a higher number alone says nothing.
        if row["verdict"] == trend.GROWS:
            found.append("descriptors of %s: %d, later %d" % (role, row["first"], row["last"]))
    before, after = result["at_rest"]
    if after["descriptors"] > before["descriptors"]:
        found.append("descriptors of the server at rest: %d before, %d after: %s, and then %s" % (
            before["descriptors"], after["descriptors"], before["names"], after["names"]))
    for role, kilobytes in result["heap"].items():
        if kilobytes > MEMORY_LIMIT and after["heap"][role] - before["heap"][role] > HEAP_SPREAD:
            found.append("the heap of %s at rest: %.0f kB before, %.0f kB after, %.1f kB in a thousand runs" % (
                role, before["heap"][role], after["heap"][role], kilobytes))
    if result["reports"]["stored"] != result["reports"]["acknowledged"]:
        found.append("reports: {acknowledged} acknowledged, {stored} stored".format(**result["reports"]))
    if result["latency"]["p99"]["verdict"] == trend.GROWS and not check:
        found.append("the 99th percentile of runs grows by %.0f %%" % (100 * result["latency"]["p99"]["slope"]))
    if result["load_cpu_share"] > 0.8:
        found.append("the load needs %.0f %% of a processor: latencies are its own" % (100 * result["load_cpu_share"]))
    return found
