"""Simulators that correct an operator by samples of its residual: flow matching and its few-step student."""
