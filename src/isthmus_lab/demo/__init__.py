"""`isthmus demo`: the main path on an embedded AWS, start to end, through the public API and nothing else."""
