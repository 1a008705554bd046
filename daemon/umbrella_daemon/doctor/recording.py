"""Check of what is recorded of typing: the user has to see that it is on, and where it goes."""

from umbrella_daemon.doctor.finding import Finding, ok, warn
from umbrella_daemon.paths import recordings_directory
from umbrella_daemon.recordings import found
from umbrella_daemon.settings import Settings

ADVICE = 'Ends with the setting recording.typing = "off" where it was set, or with the window.'


async def typing(settings: Settings) -> Finding:
    """Whether typing is recorded now, and what was recorded before."""
    folder = recordings_directory()
    files = found(folder)
    now = [str(one.path) for one in files if one.under_way]
    if now:
        return warn(f"typing is being recorded into {', '.join(now)}", ADVICE)
    if settings.recording.typing != "off":
        wanted = f"recording.typing = {settings.recording.typing!r}; no window is open"
        return warn(wanted, 'Set it to "off" if windows shall not record typing into files.')
    if files:
        size = sum(one.size for one in files) / 1e6
        return ok(f"off; {len(files)} earlier recordings in {folder}, {size:.1f} MB")
    return ok("off")
