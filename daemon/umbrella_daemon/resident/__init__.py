"""The resident process: socket, scheduler, and the way from a request to text."""
