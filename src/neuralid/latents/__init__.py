"""Latents: drawn, mixed, found behind photos, moved along attributes."""
