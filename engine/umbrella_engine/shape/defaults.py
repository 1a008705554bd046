"""What is assumed of a pair that nobody has measured here yet; see `umbrella tune`."""

from typing import Final

from umbrella_engine.shape.choice import fastest, predict
from umbrella_engine.shape.costs import Costs, Curve, Prices

# How often the child of each rank is right on Python code: Qwen2.5-Coder 1.5B with its 0.5B,
# 157 holes of real files, the first 16 tokens of each.
ACCEPTANCE: Final = (0.890, 0.067, 0.019, 0.008, 0.004, 0.003, 0.002, 0.001)

# A pass of so many rows against a pass of one: 1.5B parameters on an H100, whose kernels are cut
# for 16, 32 and 64 rows (NOTES.md of this room), 135M on two CPU cores (33 rows take 2.2 times as
# long).
WIDENING: Final = {
    "cuda": Curve((1, 2, 16, 17, 32, 33, 64), (1.0, 1.12, 1.12, 1.19, 1.19, 1.27, 1.27)),
    "cpu": Curve((1, 33), (1.0, 2.2)),
}
SHARE: Final = 0.3  # a draft's weights over its target's, where the files do not say
LAUNCH: Final = 0.05  # of a target pass; what a draft pass costs besides reading its weights


def costs(device_type: str, draft_share: float | None) -> Costs:
    """Give curves in units of one target pass.

    `draft_share` is the draft's weights over the target's, None without a draft model.
    """
    curve = WIDENING.get(device_type, WIDENING["cuda"])
    if draft_share is None:
        return Costs(curve)
    return Costs(curve, Curve(curve.rows, tuple((draft_share + LAUNCH) * ms for ms in curve.ms)))


def prices(assumed: Costs, max_nodes: int, max_depth: int) -> Prices:
    """Give prices at the pace of the best plan that can be predicted."""
    plan = fastest(predict(ACCEPTANCE, assumed, max_nodes, max_depth))
    return Prices(assumed, 1 / plan.ms_per_token, ACCEPTANCE[0])
