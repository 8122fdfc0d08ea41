"""What three observers cost a pipeline of three workers: its rate with them, as a share of that without.

Run it with ``python -m benchmarks.observers``. Both dialects, whole setups started from YAML; each observer
looks 20 times a second: in version 1 all do, and in version 2 those that wait as a display does.
"""

from __future__ import annotations

from benchmarks import version_1
from benchmarks.harness import Report, Spread, interleaved, parser, rate, ratio
from benchmarks.pipeline import measure_setup
from benchmarks.ring import SIZES

OBSERVERS = 3


def main() -> None:
    """Measure with and without observers in turn."""
    options = parser("Measure what observers cost", repeats=5)
    options.set_defaults(seconds=2.0)
    arguments = options.parse_args()
    seconds = arguments.seconds
    report = Report("Observers", arguments)
    rows = []
    for size in SIZES[:3]:
        cases = {
            "version 2": lambda size=size: measure_setup(size, True, seconds),
            "version 2 observed": lambda size=size: measure_setup(size, True, seconds, OBSERVERS),
            "version 1": lambda size=size: version_1.measure(version_1.pipeline(size, seconds), "sink"),
            "version 1 observed": lambda size=size: version_1.measure(
                version_1.pipeline(size, seconds, OBSERVERS), "sink"
            ),
        }
        values = interleaved(cases, arguments.repeats)
        for version in ("version 2", "version 1"):
            without, observed = values[version], values[f"{version} observed"]
            medians = [rate(Spread.of(each).median) for each in (without, observed)]
            rows.append([version, size.name, *medians, ratio(observed, without)])
    headings = ["dialect", "events", "without", f"with {OBSERVERS} observers", "share"]
    report.table("Events/s that reach the exporter", headings, rows)


if __name__ == "__main__":
    main()
