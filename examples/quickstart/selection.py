"""A worker of one's own: it keeps events with a large pulse."""

from mimocorb_dist.workers import Filter


def large_pulses(io):
    """Keep events in which a channel exceeds `threshold` (in volts)."""
    threshold = io["threshold"]

    def keep(data):
        return data["ch1"].max() > threshold

    Filter(io)(keep)
