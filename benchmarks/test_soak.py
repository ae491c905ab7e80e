"""Tests of what soak.py makes of its figures: python3 -m unittest discover -s benchmarks."""
import math
import os
import random
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import disturb  # noqa: E402
import growth  # noqa: E402
import soak  # noqa: E402
import trend  # noqa: E402


def noisy(slope, count=30, level=1000.0, noise=10.0, keep=0.0, seed=1):
    """Points along a line; `keep` is the part of the noise of a point that the next one has, too."""
    source, before, points = random.Random(seed), 0.0, []
    for x in range(count):
        before = keep * before + source.gauss(0, noise)
        points.append((float(x), level + slope * x + before))
    return points


class SlopeTests(unittest.TestCase):
    def test_a_line_has_its_slope_and_no_interval(self):
        value, half = trend.slope([(x, 3 + 2 * x) for x in range(10)])
        self.assertAlmostEqual(value, 2)
        self.assertAlmostEqual(half, 0, places=6)

    def test_the_interval_has_the_slope_nineteen_times_of_twenty(self):
        for keep in (0.0, 0.5):
            within = 0
            for seed in range(200):
                value, half = trend.slope(noisy(1.5, keep=keep, seed=seed))
                within += abs(value - 1.5) <= half
            # 190 are expected. Correlated points are fewer than they look, and their correlation is itself an estimate.
            self.assertGreaterEqual(within, 183 if keep == 0 else 176, keep)

    def test_processes_that_are_replaced_share_a_slope_but_no_level(self):
        first = [(x, 100 + 2 * x) for x in range(10)]
        second = [(x, 20 + 2 * x) for x in range(10, 20)]
        self.assertAlmostEqual(trend.slope(first, second)[0], 2)
        self.assertLess(trend.slope(first + second)[0], 0)

    def test_too_few_points_say_nothing(self):
        for points in ([], [(1, 1)], [(1, 1), (2, 5)], [(1, 1), (1, 2), (1, 3)]):
            self.assertEqual(trend.slope(points), (0.0, math.inf))
        self.assertEqual(trend.verdict(0.0, math.inf, 1), trend.UNDECIDED)

    def test_blocks_are_means_in_order(self):
        self.assertEqual(trend.blocks([(x, 10 * x) for x in range(6)], 3), [(0.5, 5), (2.5, 25), (4.5, 45)])
        self.assertEqual(trend.blocks([(1, 2)], 3), [(1, 2)])


REST = {"descriptors": 20, "names": [], "heap": {"server": 900.0}}


# 130 kB more in 100,000 runs.
GREW = {"heap": {"server": 1.3}, "at_rest": [REST, dict(REST, heap={"server": 1030.0})]}


class VerdictTests(unittest.TestCase):
    def rows(self, grown):
        """Samples of a server that grows by so many kB in a thousand runs, a hundred runs a second, for 20 minutes."""
        source = random.Random(2)
        return [{"at": t, "processes": [
            {"role": "server", "pid": 1, "rss": 30000 + grown * t / 10 + source.gauss(0, 20), "descriptors": 40 + t % 3},
            {"role": "collector", "pid": 2 + t // 600, "rss": 20000 + 10 * (t % 600), "descriptors": 9 + t // 100}]}
            for t in range(0, 1200, 10)]

    def runs(self, at):
        return 100 * at

    def test_a_leak_of_twice_the_limit_is_seen_and_half_of_it_is_not_one(self):
        found = [growth.memory_trends(self.rows(grown), self.runs, "rss")["server"]["verdict"] for grown in (2.0, 0.5, 0.0)]
        self.assertEqual(found, [trend.GROWS, trend.STEADY, trend.STEADY])

    def test_memory_of_a_process_that_is_replaced_is_seen_to_grow(self):
        row = growth.memory_trends(self.rows(0), self.runs, "rss")["collector"]
        self.assertEqual((row["verdict"], row["processes"]), (trend.GROWS, 2))

    def test_a_helper_that_is_killed_again_and_again_may_grow_more(self):
        rows = [{"at": t, "processes": [{"role": role, "pid": 1, "rss": 20000 + t} for role in ("renderer", "child")]}
                for t in range(0, 1200, 10)]
        found = growth.memory_trends(rows, self.runs, "rss")
        self.assertEqual([found[role]["verdict"] for role in ("renderer", "child")], [trend.STEADY, trend.GROWS])

    def test_descriptors_that_come_and_go_do_not_grow(self):
        found = growth.descriptor_growth(self.rows(0), self.runs)
        self.assertEqual(found["server"]["verdict"], trend.STEADY)
        self.assertEqual(found["collector"]["verdict"], trend.GROWS)

    def test_latencies(self):
        reports = lambda factor: [{"run_ms": {"p99": 20 + factor * n}} for n in range(15)]
        self.assertEqual([growth.latency_trend(reports(f), "p99")["verdict"] for f in (0.0, 0.2, 3.0)],
                         [trend.STEADY, trend.STEADY, trend.GROWS])

    def test_runs_are_counted_between_reports(self):
        at = growth.runs_at([{"at": 10.0, "runs": 100}, {"at": 20.0, "runs": 300}], 0.0)
        self.assertEqual([at(t) for t in (-1, 0, 5, 10, 15, 20, 99)], [0, 0, 50, 100, 250, 400, 400])

    def test_what_stays_on_the_heap_is_told_by_runs(self):
        at_rest = [{"heap": {"server": 900.0, "child": 500.0}}, {"heap": {"server": 960.0, "child": 500.0}}]
        self.assertEqual(growth.heap_growth(at_rest, 120000), {"server": 0.5, "child": 0.0})

    def test_each_kind_of_trouble_is_a_failure(self):
        good = {"errors": 0, "first_error": "", "faults": [], "heap": {"server": 0.9}, "at_rest": [REST, REST], "load_cpu_share": 0.1,
                "reports": {"acknowledged": 5, "stored": 5}, "latency": {"p99": {"verdict": trend.STEADY, "slope": 0}},
                "memory": {"rss": {"collector": {"verdict": trend.STEADY, "slope": 0, "half": 1}}},
                "descriptors": {"server": {"verdict": trend.STEADY, "first": 1, "last": 1}}}
        self.assertEqual(growth.judge(good, check=False), [])
        grows = {"verdict": trend.GROWS, "slope": 9.0, "half": 1.0, "first": 1, "last": 2}
        for bad in ({"errors": 1}, {"faults": ["x"]}, {"at_rest": [REST, dict(REST, descriptors=21)]}, GREW, {"reports": {"acknowledged": 5, "stored": 4}},
                    {"latency": {"p99": grows}}, {"descriptors": {"server": grows}}, {"load_cpu_share": 0.9},
                    {"memory": {"rss": {"collector": grows}}}, {"memory": {"rss": {**good["memory"]["rss"], "renderer": grows}}}):
            with self.subTest(bad):
                self.assertEqual(len(growth.judge({**good, **bad}, check=False)), 1)
        # Within what two looks differ by.
        few = {"heap": {"server": 6.0}, "at_rest": [REST, dict(REST, heap={"server": 960.0})]}
        self.assertEqual(growth.judge({**good, **few}, check=False), [])
        self.assertEqual(growth.judge({**good, "latency": {"p99": grows}}, check=True), [])


class LogTests(unittest.TestCase):
    def test_lines_are_counted_by_kind(self):
        lines = ["Nov 30 13:00:%02d host bcfg2-server[%d]: Child-%d (PID %d) ended\n" % (n, n, n, n) for n in range(3)]
        self.assertEqual(disturb.kinds_of(lines + ["x[1]: other\n"]), [("Child-N (PID N) ended", 3), ("other", 1)])
        self.assertEqual(disturb.unusual_lines(["x[1]: Generated config for a in 0.1 seconds", "x[1]: odd"]), ["x[1]: odd"])


class ProcessTests(unittest.TestCase):
    def test_memory_and_descriptors_of_a_process(self):
        self.assertEqual(set(soak.memory(os.getpid())), {"rss", "anonymous", "pss"})
        self.assertEqual(soak.parent(os.getpid()), os.getppid())
        before = soak.descriptors(os.getpid(), set())
        with open("/dev/null"):
            self.assertEqual(soak.descriptors(os.getpid(), set()), before + 1)
        with subprocess.Popen(["/bin/true"]) as process:
            process.wait()
            with self.assertRaises((FileNotFoundError, ProcessLookupError)):
                soak.memory(process.pid)


if __name__ == "__main__":
    unittest.main()
