"""A run's folder and all that lies in it: plan, log, checkpoints, report."""
