"""The machine agent: the server-independent half of onboarding, with the standard library and cryptography only."""

VERSION = "1.0.0"
"""Version of this agent, as `azcmagent version` and the machine resource show it."""
