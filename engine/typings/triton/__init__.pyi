"""What the engine uses of Triton, for type checkers on machines without it."""

from typing import Any

jit: Any

def next_power_of_2(n: int) -> int: ...
