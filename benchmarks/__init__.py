"""Measurements of mimocorb_dist, each as ratios within one run: ``python -m benchmarks.ring`` and others."""
