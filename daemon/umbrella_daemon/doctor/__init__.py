"""`umbrella doctor`: everything that completions need, checked in the order in which it matters.

A check is a function of the settings that gives a `Finding`; a new one is a line in `CHECKS`.
Where the engine is elsewhere, what a resident pair needs is not looked at.
Nothing is downloaded, and a daemon that was not running is not running afterwards.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

from umbrella_daemon.doctor import backend, installation, machine, model, recording, service
from umbrella_daemon.doctor.finding import Finding, fail, ok
from umbrella_daemon.paths import config_path
from umbrella_daemon.settings import LOCAL, Settings, SettingsError

Check = Callable[[Settings], Awaitable[Finding]]

CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("python", installation.python),
    ("umbrella", installation.umbrella),
    ("torch", installation.torch),
    ("device", machine.device),
    ("attention", machine.attention),
    ("memory", machine.memory),
    ("disk", machine.disk),
    ("pair", model.pair),
    ("weights", model.weights),
    ("drafting", model.drafting),
    ("backend", backend.server),
    ("socket", service.socket),
    ("daemon", service.daemon),
    ("language server", installation.language_server),
    ("recording", recording.typing),
    ("completion", service.completion),
)

# what only a resident pair needs
RESIDENT: Final = frozenset(
    {"torch", "device", "attention", "memory", "disk", "pair", "weights", "drafting"}
)


async def examine(
    load: Callable[[], Settings], config: Path | None = None
) -> AsyncIterator[tuple[str, Finding]]:
    """Give name and finding of each check; bad settings are a finding, the rest sees defaults.

    `load` reads the settings, from the file `config` unless that is None.
    """
    settings = Settings()
    try:
        settings = load()
    except SettingsError as error:
        yield "settings", fail(str(error), "Correct it there; the defaults are used until then.")
    else:
        path = config or config_path()
        yield "settings", ok(str(path) if path.exists() else f"defaults; there is no {path}")
    running = await service.running(settings)
    try:
        for name, check in CHECKS:
            if name in (RESIDENT if settings.backend.kind != LOCAL else {"backend"}):
                continue
            yield name, await _run(check, settings)
    finally:
        if not running:
            await service.leave_as_found(settings)


async def _run(check: Check, settings: Settings) -> Finding:
    try:
        return await check(settings)
    except Exception as error:  # a report with a hole is worth more than none
        found = f"could not be checked: {type(error).__name__}: {error}"
        return fail(found, "Mend what stands above first; if all is well there, please report it.")
