"""Speed of this library and its peers, measured side by side on loopback.

Run ``python -m benchmarks`` from the repository's root; ``docs/performance.md`` explains it.
"""
