"""CloudTrail of the lab: every management call as AWS records it, LookupEvents, and log files of trails."""
