"""The broker: who may hold which role in which account, and for how long."""
