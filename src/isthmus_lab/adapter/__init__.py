"""The only package that touches ministack: every hook point of the lab, each with a contract test in tests/lab/test_adapter.py.

None of these points is a promise of ministack, so its version is pinned and checked at start. Import this package only in a process
whose environment was built by `environment.scrubbed`: ministack reads its settings when it is imported.
"""
