"""The embedded AWS: ministack as the engine, our pack where it does not answer as AWS does, machines that run the real agent."""
