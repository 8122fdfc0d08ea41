"""Stopped muons: find the pulses of muon and decay electron, and fit the lifetime."""
