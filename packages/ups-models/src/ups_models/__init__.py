"""UPS models: neural operators, baselines, the simulator that wraps them and the bundle that saves it."""
