"""The step `ttc`: what more computation at test time gains, beside what chance gains."""
