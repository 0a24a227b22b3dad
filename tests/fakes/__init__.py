"""Stand-ins with behaviour of their own, shared by tests."""
