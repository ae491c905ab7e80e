"""Tests of what scenarios.py makes of its figures: python3 -m unittest discover -s benchmarks."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import scenarios  # noqa: E402


class SteadyTests(unittest.TestCase):
    @staticmethod
    def measured(*figures):
        rounds = [{"connections": 10, "kb_per_connection": figure} for figure in figures]
        return scenarios.steady(lambda: rounds.pop(0)), len(rounds)

    def test_the_first_figure_above_nothing_counts(self):
        self.assertEqual(self.measured(21.5, 1.0), ({"connections": 10, "kb_per_connection": 21.5}, 1))
        self.assertEqual(self.measured(-3.0, 0.0, 20.0)[0]["kb_per_connection"], 20.0)

    def test_a_server_that_only_releases_memory_has_no_figure(self):
        self.assertEqual(self.measured(-3.0, -1.0, 0.0), ({"connections": 10, "kb_per_connection": None}, 0))


if __name__ == "__main__":
    unittest.main()
