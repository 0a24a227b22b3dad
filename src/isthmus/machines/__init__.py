"""The server half of the machine agent: what a machine prints, proves and is told."""

from isthmus.machines.enrolment import Machines

__all__ = ["Machines"]
