"""Action-unit detection: predictions, thresholds from training people, scores, baseline, report."""
