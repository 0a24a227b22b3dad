"""A demo account's estate: networks, machines, data, people, in several regions, made through the lab's own API."""

from isthmus_lab.estate.compute import Machine
from isthmus_lab.estate.seed import REGIONS, Summary, seed

__all__ = ["REGIONS", "Machine", "Summary", "seed"]
