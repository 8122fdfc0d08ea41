"""A source of events, written for mimoCoRB2."""

import time

import numpy as np

from mimocorb2 import Importer


def noisy_pulses(buffer_io):
    """Pulses of random height in noise; the second channel sees most of them, too."""
    importer = Importer(buffer_io)
    n_events = buffer_io['n_events']
    sleep = buffer_io.get('sleep', 0)
    noise = buffer_io.get('noise', 0.02)
    example = buffer_io.data_out_examples[0]

    t = np.arange(example.size)
    shape = np.where(t > 50, np.exp(-(t - 50) / 20), 0)
    rng = np.random.default_rng(1)

    def ufunc():
        for _ in range(n_events):
            data = np.zeros_like(example)
            height = rng.exponential(0.3)
            data['ch1'] = height * shape + rng.normal(0, noise, t.size)
            data['ch2'] = rng.uniform(0, 1) * height * shape + rng.normal(0, noise, t.size)
            time.sleep(sleep)
            yield data
        yield None

    importer(ufunc)
