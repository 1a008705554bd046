"""What a device does in some speculative steps, and the calls that the host makes meanwhile."""

from collections import Counter
from typing import Any

from torch.profiler import ProfilerActivity, profile, record_function

from umbrella_engine.cuda.shapes import TreeShape
from umbrella_engine.cuda.stepper import Stepper

SPAN = "enqueue steps"


def trace(stepper: Stepper, shape: TreeShape, steps: int = 20) -> dict[str, Any]:
    """Profile steps that are enqueued one after the other and read when all are.

    Gives the host's calls of CUDA between the first and the last step, those of them that wait, and
    for each kernel its launches and mean µs, the costliest first. A kernel that starts early counts
    its waiting for the one before.
    """
    stepper.step(shape).read()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        with record_function(SPAN):
            landings = [stepper.step(shape) for _ in range(steps)]
        for landing in landings:
            landing.read()
    events = found.events()
    assert events is not None
    span = next(event.time_range for event in events if event.name == SPAN)
    calls = Counter(
        event.name
        for event in events
        if event.name.startswith("cuda") and span.start <= event.time_range.start <= span.end
    )
    kernels = [
        (event.key, event.count, event.self_device_time_total)
        for event in found.key_averages()
        if event.self_device_time_total and event.key != SPAN and not event.self_cpu_time_total
    ]
    kernels.sort(key=lambda kernel: -kernel[2])
    return {
        "steps": steps,
        "shape": [shape.depth, shape.width],
        "host_calls": dict(calls),
        "waits": [name for name in calls if "ynchronize" in name or name == "cudaMemcpy"],
        "kernels": [
            {"name": name, "launches": count, "mean_us": round(total / count, 2)}
            for name, count, total in kernels
        ],
    }
