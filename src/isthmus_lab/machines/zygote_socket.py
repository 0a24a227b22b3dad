"""The name both ends of the zygote's socket agree on (the launcher, which must import nothing, repeats it)."""

NAME = "zygote.sock"
