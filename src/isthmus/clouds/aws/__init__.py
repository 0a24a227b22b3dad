"""Amazon Web Services: the catalog of types, the wire caller, scans, sessions, the authentication template and Run Command."""
