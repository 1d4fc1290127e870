"""Simulators that add sampled residuals to an operator: flow matching and its few-step student."""
