"""UPS evaluation: metrics, rollouts, baselines in one harness, and the report of a run.

Nothing is imported here, because planning a run must not import torch; import `ups_eval.metrics`,
`ups_eval.scoring` and so on.
"""
