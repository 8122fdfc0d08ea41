def first_pulse(waveform, threshold):
    """Return where a waveform first exceeds a threshold, and its maximum; None and 0 if it does not."""
    above = (waveform > threshold).nonzero()[0]
    return (int(above[0]), float(waveform.max())) if len(above) else (None, 0.0)
