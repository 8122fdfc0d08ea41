"""Prebuilt worker functions, installed as ``mimocorb_dist.functions``: the examples that users copy."""
