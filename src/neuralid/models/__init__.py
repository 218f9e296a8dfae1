"""The networks: one file an architecture; `architecture.py` finds it by name."""
