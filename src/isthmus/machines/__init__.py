"""The server half of the machine agent: what a machine prints, proves and is told."""

from isthmus.machines.enrolment import Machines
from isthmus.machines.registration import forget

__all__ = ["Machines", "forget"]
