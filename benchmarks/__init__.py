"""Where the documentation's figures come from.

``python -m benchmarks`` measures speed; the other scripts here measure quality, one each.
"""
