"""The parts of onboarding: codes, rows, the state machine, commands, registration."""
