"""A GGUF file once into a model folder: bfloat16 safetensors, config and tokenizer.

The folder is kept with a stamp: of its own files, so that a damaged one is made again, and of the
GGUF it came from, so that another GGUF at the same place is noticed.
"""

import hashlib
import json
import logging
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from umbrella_engine.errors import UnsupportedModel, WeightsError
from umbrella_engine.interface import Progress, Report
from umbrella_engine.sources.disk import explained, in_mb, locked, remove, require_room
from umbrella_engine.sources.stamps import (
    FileStamp,
    problem,
    read_stamp,
    renew_origin,
    stamp_path,
    write_stamp,
)

if TYPE_CHECKING:
    import gguf
    import numpy as np
    import numpy.typing as npt

    from umbrella_engine.sources.gguf_model import Architecture

log = logging.getLogger(__name__)

RECIPE: Final = "gguf import 1"  # counted up when the folder's content changes
BFLOAT16_BYTES: Final = 2


@dataclass(frozen=True, slots=True)
class GgufImport:
    """A GGUF file's model folder below `directory`."""

    gguf: Path
    directory: Path

    @property
    def path(self) -> Path:
        """Where the folder is kept."""
        key = hashlib.sha256(os.fsencode(self.gguf)).hexdigest()[:8]
        return self.directory / "converted" / key / self.gguf.stem

    def origin(self) -> FileStamp | None:
        """Give the stamp of the GGUF that the folder was made from."""
        stamp = read_stamp(self.path)
        return stamp.origin if stamp else None

    def find(self) -> Path | None:
        """Give the folder where it is whole; whose content it has is said by `origin`."""
        return None if problem(self.path, RECIPE) else self.path

    def obtain(self, source: FileStamp, report: Report) -> Path:
        """Give the folder, converting the GGUF, whose stamp is `source`, where that is needed.

        Raises WeightsError, and UnsupportedModel where the engine cannot run it.
        """
        lock_name = f"{self.path.name}-{self.path.parent.name}"
        with locked(self.directory / "locks", lock_name, report):
            origin = self.origin()
            if origin is not None and origin.sha256 == source.sha256:
                if found := self.find():
                    renew_origin(self.path, source)
                    return found
                wrong = problem(self.path, RECIPE)
                log.warning("%s %s; it is converted again from %s", self.path, wrong, self.gguf)
                message = f"{self.path.name} {wrong}; converting it again"
                report(Progress("converting", message))
            with explained(self.path.parent, self.path.name):
                remove(stamp_path(self.path))
                remove(self.path)
                self._convert(report)
                write_stamp(self.path, RECIPE, origin=source)
            return self.path

    def _convert(self, report: Report) -> None:
        unfinished = self.path.with_name(self.path.name + ".tmp")
        remove(unfinished)
        unfinished.mkdir(parents=True)
        try:
            convert(self.gguf, unfinished, report)
            unfinished.replace(self.path)
        except (UnsupportedModel, NotImplementedError) as error:
            raise UnsupportedModel(f"{self.gguf} cannot be used: {error}") from error
        except (ValueError, LookupError, TypeError, ArithmeticError) as error:
            raise WeightsError(
                f"{self.gguf} is damaged or no GGUF file ({error}); get it again"
            ) from error
        finally:
            remove(unfinished)


def convert(path: Path, folder: Path, report: Report) -> None:
    """Write the model in the GGUF file `path` into the empty `folder`.

    Raises UnsupportedModel; and ValueError, LookupError, TypeError or ArithmeticError where the
    file is damaged, as its parts are read in good faith.
    """
    import gguf

    from umbrella_engine.sources.gguf_model import HEAD, ROPE_FACTORS, Architecture
    from umbrella_engine.sources.gguf_tokenizer import save_tokenizer

    report(Progress("converting", f"reading {path.name}"))
    reader = gguf.GGUFReader(path)
    metadata = {name: field.contents() for name, field in reader.fields.items()}
    architecture = Architecture.of(metadata)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    names = architecture.tensor_names(list(tensors))
    embedding = tensors["token_embd.weight"]
    factors = tensors.get(ROPE_FACTORS)
    config = architecture.config(
        vocab_size=int(embedding.shape[-1]),
        tied=HEAD not in tensors,
        rope_factors=None if factors is None else _values(factors).tolist(),
    )
    save_tokenizer(metadata, folder)
    (folder / "config.json").write_text(json.dumps(config, indent=2), "utf-8")
    _write_weights(folder / "model.safetensors", tensors, names, architecture, report)


def _write_weights(
    path: Path,
    tensors: "dict[str, gguf.ReaderTensor]",
    names: dict[str, str],
    architecture: "Architecture",
    report: Report,
) -> None:
    """Write tensor after tensor, so that memory holds one at a time."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, ours in names.items():
        shape = [int(size) for size in reversed(tensors[name].shape)]
        start, end = end, end + BFLOAT16_BYTES * math.prod(shape)
        header[ours] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    require_room(path.parent, end, f"the converted {path.parent.stem}")
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)  # the data begins on a multiple of 8
    message = f"converting {path.parent.stem} to {in_mb(end)} of bfloat16"
    with path.open("wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for done, data in enumerate(_bfloat16(tensors, names, architecture)):
            report(Progress("converting", message, done, len(names)))
            file.write(data)
        file.flush()
        os.fsync(file.fileno())
    report(Progress("converting", message, len(names), len(names)))


def _bfloat16(
    tensors: "dict[str, gguf.ReaderTensor]", names: dict[str, str], architecture: "Architecture"
) -> Iterator[memoryview]:
    import torch

    for name in names:
        values = _values(tensors[name])
        if architecture.name == "llama" and ".attn_q." in name:
            values = _rows_by_halves(values, architecture.n_heads)
        elif architecture.name == "llama" and ".attn_k." in name:
            values = _rows_by_halves(values, architecture.n_kv_heads)
        rounded = torch.from_numpy(values).to(torch.bfloat16)
        yield rounded.view(torch.int16).numpy().data


def _values(tensor: "gguf.ReaderTensor") -> "npt.NDArray[np.float32]":
    import gguf
    import numpy as np

    values = gguf.dequantize(tensor.data, tensor.tensor_type)
    return np.require(values, np.float32, ["C", "W"])


def _rows_by_halves(rows: "npt.NDArray[np.float32]", n_heads: int) -> "npt.NDArray[np.float32]":
    """Undo llama.cpp's order of a head's rows: it rotates neighbours, the checkpoint halves.

    rows: [n_heads · head_dim, hidden]. See `permute` in llama.cpp's convert_hf_to_gguf.py.
    """
    n_rows, width = rows.shape
    pairs = rows.reshape(n_heads, n_rows // n_heads // 2, 2, width)
    return pairs.swapaxes(1, 2).reshape(n_rows, width)
