"""What everything else builds on: errors, checks, files, locks, devices."""
