"""How an exported program is loaded and fed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from zoorank.errors import SourceError
from zoorank.messages import listing
from zoorank.sources.base import Encoder, OpenOptions
from zoorank.sources.batches import GraphFeed
from zoorank.sources.exported.archive import harmless
from zoorank.sources.exported.encoder import ExportedEncoder
from zoorank.sources.exported.program import Program, load
from zoorank.sources.inputs import bare, complete
from zoorank.sources.tokens import MASK, TokenTransform
from zoorank.transforms import transform_of
from zoorank.transforms.base import ONLY
from zoorank.transforms.specs import TextPreprocessing

if TYPE_CHECKING:
    from zoorank.sources.exported import ExportedSource


def open_program(source: ExportedSource, options: OpenOptions) -> Encoder:
    """Make an encoder of a program.

    Raises
    ------
    SourceError
        When it may not be loaded, or nothing tells how it is to be fed.
    """
    file = source.file
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    device = _device(options.device)
    content = source.pins[0].read()
    if not source.is_trusted:
        content = harmless(content, file)
    program = Program(load(content, file, device), file, source.output, source.shuffled)
    said = bare(options.modality, source.preprocessing)
    if isinstance(said, TextPreprocessing):
        return _texts(source, program, said, device)
    if len(program.inputs) != 1:
        inputs = listing(map(str, program.inputs)) or "none"
        raise file.refuse(
            f"takes {len(program.inputs)} inputs ({inputs}); all but texts goes into one"
        )
    (given,) = program.inputs
    fed = complete(said, given, file.refuse, declared=source.preprocessing is not None)
    return ExportedEncoder(
        program,
        transform_of(fed.preprocessing),
        GraphFeed(
            {given.name: ONLY}, given.dims[0], axis=fed.declared, batch_first=fed.batch_first
        ),
        given.name,
        fed.preprocessing.pooling,
        fed.axis,
        device,
        fed.note,
    )


def _texts(
    source: ExportedSource, program: Program, said: TextPreprocessing, device: torch.device
) -> Encoder:
    fed = source.token_feed(program.inputs)
    roles = frozenset(fed.names.values())
    # Without a mask padding would change a text's encoding.
    samples = fed.samples if MASK in roles else 1
    return ExportedEncoder(
        program,
        TokenTransform.of(fed.tokenizer, said, longest=fed.tokens, names=roles),
        GraphFeed(fed.names, samples, MASK, fed.tokens),
        fed.ids,
        said.pooling,
        None,
        device,
    )


def _device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    found = torch.device(device if device != "cuda" else "cuda:0")
    if found.type == "cuda" and not torch.cuda.is_available():
        raise SourceError(f"no GPU for device {device!r}; say 'cpu'")
    return found
