"""The terminal chat: what is typed, what the resident pair answers, and how both are shown."""
