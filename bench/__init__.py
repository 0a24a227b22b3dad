"""Benchmarks: `python -m bench`. Modules are named `<group>_<what>.py` and give rows by `measure()`; see `bench.rows`."""
