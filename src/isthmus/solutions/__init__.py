"""What a connector can do: one file per solution type, each with its settings, its sync and its words for people."""
