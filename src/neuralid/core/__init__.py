"""What every hall stands on: settings, errors, files, locks, devices."""
