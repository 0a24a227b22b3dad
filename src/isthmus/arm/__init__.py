"""The grammar of ARM: identifiers, envelopes, errors, rows of resource types, api-versions. Pure: no I/O and no clock."""
