"""Azure and its directory, as far as Isthmus asks them something."""
