"""Benchmarks that a user runs: `umbrella bench`.

Each measures one thing, prints a table for people, gives a `Result` with the machine, versions and
weights it was measured with. Nothing here is imported until one is asked for.
"""
