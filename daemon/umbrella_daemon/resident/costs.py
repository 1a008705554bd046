"""What requests cost, added up."""

from msgspec.structs import astuple

from umbrella_daemon.wire import Totals, Trace


def cost_of(trace: Trace) -> Totals:
    """Give what one request cost the engine."""
    prefill = trace.ms.get("prefill", 0.0)
    return Totals(
        trace.prefilled_tokens,
        trace.reused_tokens,
        trace.generated_tokens,
        trace.target_steps,
        trace.drafted_tokens,
        trace.accepted_tokens,
        prefill,
        trace.ms.get("generate", 0.0) - prefill,
    )


def together(one: Totals, other: Totals) -> Totals:
    """Add two costs up."""
    return Totals(*map(sum, zip(astuple(one), astuple(other), strict=True)))
