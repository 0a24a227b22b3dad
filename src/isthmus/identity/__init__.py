"""Who speaks, and what they may: our issuers, the table of trust for incoming tokens, the token endpoint, roles. Knows no HTTP."""
