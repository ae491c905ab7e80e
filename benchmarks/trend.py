"""Straight lines through measurements, with what is known of their slopes: for soak.py.

A slope comes with the half width of its 95 % confidence interval. Successive measurements of a process resemble each other,
so that fewer of them are independent than there are: the interval is widened by the correlation of successive residuals.
"""
import math

# Student's t, 97.5 %, by degrees of freedom; beyond the table the next smaller entry is used, which is the wider one.
STUDENT = {1: 12.71, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228, 12: 2.179,
           14: 2.145, 16: 2.120, 18: 2.101, 20: 2.086, 25: 2.060, 30: 2.042, 40: 2.021, 60: 2.000, 120: 1.980}

GROWS, STEADY, UNDECIDED = "grows", "steady", "undecided"


def student(freedom):
    return STUDENT[max(key for key in STUDENT if key <= max(freedom, 1))]


def blocks(points, count):
    """Means of equal parts of the points, in their order: fewer and less noisy points."""
    count = min(count, len(points))
    parts = [points[len(points) * i // count:len(points) * (i + 1) // count] for i in range(count)]
    return [(sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in parts]


def slope(*series):
    """(slope, half width of its interval) of (x, y) series that share a slope, each with a level of its own.

    Infinite half width: the points say nothing about a slope.
    """
    series = [one for one in series if len(one) > 1]
    deviations = []
    for one in series:
        x_mean, y_mean = (sum(point[k] for point in one) / len(one) for k in (0, 1))
        deviations.append([(x - x_mean, y - y_mean) for x, y in one])
    points = [point for one in deviations for point in one]
    spread = sum(x * x for x, _ in points)
    freedom = len(points) - len(series) - 1
    if not spread or freedom < 1:
        return 0.0, math.inf
    value = sum(x * y for x, y in points) / spread
    residuals = [[y - value * x for x, y in one] for one in deviations]
    squares = sum(r * r for one in residuals for r in one)
    if not squares:
        return value, 0.0
    following = sum(a * b for one in residuals for a, b in zip(one, one[1:])) / squares
    # Of n points with a correlation r of successive ones about n (1 - r) / (1 + r) are independent.
    share = (1 - following) / (1 + following) if following > 0 else 1.0
    independent = max(1.0, share * freedom)
    return value, student(int(independent)) * math.sqrt(squares / freedom / spread / max(share, 1 / freedom))


def verdict(value, half, limit):
    """What an interval says of a limit: above it, below it, or both are possible."""
    if value - half > limit:
        return GROWS
    return STEADY if value + half <= limit else UNDECIDED
