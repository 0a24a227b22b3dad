"""Durable jobs on DBOS: queues, timetables, recovery. Jobs are declared by their owners; this package knows only the store."""

from isthmus.work.attempts import Around
from isthmus.work.claims import alone
from isthmus.work.jobs import ENDED, FAILED, RUNNING, Arguments, Backlog, Job, JobBook, JobCount, JobRecord, Jobs, Queue, Timetable
from isthmus.work.worker import Work

__all__ = [
    "ENDED",
    "FAILED",
    "RUNNING",
    "Arguments",
    "Around",
    "Backlog",
    "Job",
    "JobBook",
    "JobCount",
    "JobRecord",
    "Jobs",
    "Queue",
    "Timetable",
    "Work",
    "alone",
]
