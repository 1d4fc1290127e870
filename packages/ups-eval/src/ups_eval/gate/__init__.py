"""Gates: numbers of a run judged against thresholds, references and the current champion."""
