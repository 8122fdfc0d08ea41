"""Where the waveforms come from."""

from mimocorb_dist.functions import data, simulators


def recorded_or_simulated(io):
    """Replay the recorded waveforms if the file is there, else simulate muons."""
    if (io.setup_dir / io["filename"]).is_file():
        data.replay(io)
    else:
        io.logger.warning("%s is not there: the muons are simulated", io["filename"])
        simulators.muons(io)
