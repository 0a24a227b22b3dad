"""The machines of the lab: one root folder per EC2 instance, real processes that run the real agent, and what plays systemd."""
