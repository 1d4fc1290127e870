"""UPS evaluation: metrics, rollouts, baselines in one harness, and a report of a run.

Nothing is imported here, so that planning a run needs no torch; take `ups_eval.metrics`, `ups_eval.scoring`.
"""
