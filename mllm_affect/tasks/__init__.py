"""Questions with their answer spaces, and the one function that makes model inputs."""
