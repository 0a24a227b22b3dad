"""The machine agent: the server-independent half of onboarding, with the standard library and cryptography only."""
