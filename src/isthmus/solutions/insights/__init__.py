"""What a subscription looks like as a whole: its numbers, and what in it needs a person. It only reads, by a handful of aggregates."""
