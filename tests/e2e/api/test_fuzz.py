"""Requests made from the server's own description, right and wrong ones: none is a server error.

Here a few for each operation; `make fuzz` makes 5,000. UMBRELLA_FUZZ_CASES is the number for each
operation and kind.
"""

import contextlib
import os
from collections import Counter
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode

from tests.e2e.api.server import SECONDS, Server

pytestmark = pytest.mark.e2e

CASES = int(os.environ.get("UMBRELLA_FUZZ_CASES", "16"))
Operation = schemathesis.APIOperation[Any, Any, Any, Any]
KINDS = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


def test_no_request_is_a_server_error(server: Server) -> None:
    description = httpx.get(f"{server.address}/openapi.json").json()
    statuses: Counter[int] = Counter()
    found = list(schemathesis.openapi.from_dict(description).get_all_operations())
    operations = [one.ok() for one in found if isinstance(one, Ok)]
    assert len(operations) == len(found)
    assert len(operations) >= 13

    def check(operation: Operation, kind: GenerationMode) -> None:
        @settings(
            max_examples=CASES,
            database=None,
            suppress_health_check=list(HealthCheck),
            derandomize=False,
        )
        @given(case=operation.as_strategy(generation_mode=kind))
        def answered(case: Any) -> None:
            answer = case.call(server.address, headers=server.headers, timeout=SECONDS)
            statuses[answer.status_code] += 1
            assert answer.status_code < 500, (answer.status_code, answer.text)

        # what takes nothing cannot be asked wrongly
        nothing = kind is GenerationMode.NEGATIVE and operation.label.startswith("GET")
        with contextlib.suppress(*[Unsatisfiable] if nothing else []):
            answered()

    for operation in operations:
        for kind in KINDS:
            check(operation, kind)
    print(f"{statuses.total()} requests:", dict(sorted(statuses.items())))
    assert statuses[200] > 0
    assert statuses[422] > 0
    assert httpx.get(f"{server.address}/health").status_code == 200
    settled = [server.metric(name) for name in ("requests_processing", "requests_deferred")]
    assert settled == [0, 0]
