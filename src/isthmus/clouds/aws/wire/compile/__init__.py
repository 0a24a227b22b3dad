"""Compiles AWS' service models into the wire's plans. A development tool: it alone imports botocore, and nothing at run time imports it."""
