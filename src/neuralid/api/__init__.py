"""The verbs: methods of an open `Studio`, and functions that open one for a single call."""
