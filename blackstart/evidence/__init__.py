"""Evidence for auditors: a run's folder made into a dated, signed one: what was restored, and how fast.

`build` makes it; `verify` says whether it is as it was signed, and whether its verdicts follow from its
histories.
"""
