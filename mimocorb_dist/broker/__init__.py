"""One run: who is there, when it starts and ends, and its record.  Events never come here.

``python -m mimocorb_dist.broker --job PATH --status-fd N --control-fd M RUN`` serves one run.
"""
