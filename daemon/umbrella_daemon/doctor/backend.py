"""The check of an engine elsewhere: whether it may be asked, answers, and what it has."""

import asyncio
import time

from umbrella_daemon.backends.connecting import connect
from umbrella_daemon.backends.faults import BackendDown
from umbrella_daemon.doctor.finding import Finding, fail, ok, warn
from umbrella_daemon.settings import Settings, SettingsError


async def server(settings: Settings) -> Finding:
    """Whether the server of `backend` can be used, and for what."""
    try:
        return await asyncio.to_thread(_asked, settings)
    except SettingsError as error:
        return fail(str(error), "Then `umbrella stop`: the next start takes it up.")
    except BackendDown as error:
        return fail(str(error), "Suggestions come back by themselves once it answers.")


def _asked(settings: Settings) -> Finding:
    began = time.perf_counter()
    connected = connect(settings.backend, settings.engine.context_tokens)
    connected.engine.close()
    took = (time.perf_counter() - began) * 1e3
    served, address = connected.served, connected.address
    holes = "fills holes" if served.tokenizer.fim else "reads only what stands before the cursor"
    found = (
        f"{connected.told}: {served.context_tokens or 'an unknown number of'} tokens of context, "
        f"{holes}, asked by {served.layout}; looked at in {took:.0f} ms"
    )
    if not address.local and not address.url.startswith("https:"):
        return warn(found, "Your code and the key go there unencrypted; https:// hides them.")
    if not served.tokenizer.fim and settings.backend.fim == "auto":
        return warn(found, "If its model can fill in the middle, name its family in backend.fim.")
    return ok(found)
