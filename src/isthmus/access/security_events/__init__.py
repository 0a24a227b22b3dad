"""Security events of others (Shared Signals Framework 1.0: CAEP 1.0, RISC): what they say of people ends what these people have here."""
