"""Find the pulses of a muon and of its decay electron."""

from mimocorb_dist.functions.muons import PulseSearch, double_pulses

from mimocorb_dist.workers import BatchProcessor


def find_pulses(io):
    """Measure time between, and heights of, the two pulses of each waveform: one result for each event."""
    search = PulseSearch(
        sample_time_ns=io["sample_time_ns"],
        trigger_sample=io["trigger_sample"],
        minimum_height=io["minimum_height"],
    )

    def find(data):
        pulses = double_pulses(data["ch1"], search)
        return [{name: pulses[name] for name in pulses.dtype.names}]

    BatchProcessor(io, limit=32)(find)
