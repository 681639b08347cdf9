"""What a source is to the rest of the house: protocols and plain records; no framework.

A source is opened in the process that runs it, and what it opens is an encoder::

    with source.resolve(events).open(OpenOptions(modality="image")) as encoder:
        transform = encoder.transform.fitted(target)
        batch = transform.collate([transform.prepare(sample) for sample in target.take(rows)])
        cuts = encoder.cuts(batch, ("penultimate",))
        encodings = encoder.encode(batch, cuts)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Union, get_args, runtime_checkable

from zoorank.errors import SourceError, UsageError
from zoorank.messages import hint, missing_package
from zoorank.targets.base import Modality
from zoorank.transforms.base import Batch, Transform

if TYPE_CHECKING:
    from zoorank.transforms.specs import Preprocessing

Json = Union[bool, int, float, str, Sequence["Json"], Mapping[str, "Json"], None]  # noqa: UP007
Array = Any  # a NumPy array, or one that lies on a device and speaks its array interface
Precision = Literal["float32", "bf16"]
Events = Callable[[str], None]  # told in a line what takes long, such as a download

ALL, PENULTIMATE, LOGITS = "all", "penultimate", "logits"


@dataclass(frozen=True)
class Trust:
    """Code that the user, and never a manifest, allows to run.

    Attributes
    ----------
    code : tuple of Path
        Directories whose modules may be imported and run.
    packages : tuple of str
        Installed packages whose models may be built beside those that zoorank knows.
    """

    code: tuple[Path, ...] = ()
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """What a manifest or a call says of a source beside its reference.

    Attributes
    ----------
    name : str or None
        What the table calls it; None for the reference itself.
    preprocessing : Preprocessing or None
        Its fields that were set override those of the model's own description.
    cuts : tuple of str or None
        Where to cut; None leaves it to the zoo or the command.
    trained_on : str or None
        Labelled data that the weights were trained on, a path or a name as for the target.
    licence : str or None
        Of the weights; it stands over what is published.
    sha256 : str or None
        Expected digest of the file of a kind that has one file.
    settings : mapping
        Further keys; each kind refuses those it does not know.
    folder : Path
        Where relative paths start.
    trust : Trust
    """

    name: str | None = None
    preprocessing: Preprocessing | None = None
    cuts: tuple[str, ...] | None = None
    trained_on: str | None = None
    licence: str | None = None
    sha256: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = Path()
    trust: Trust = Trust()


class EntryError(UsageError):
    """An entry that a kind of source cannot use.

    Parameters
    ----------
    message : str
        One line.
    key : str
        Of the manifest's entry, which the message then need not name.
    """

    def __init__(self, message: str, key: str = "source") -> None:
        super().__init__(message)
        self.key = key

    def __reduce__(self) -> tuple[type[EntryError], tuple[str, str]]:
        return type(self), (str(self), self.key)


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Say which extra brings a package whose import fails.

    Raises
    ------
    SourceError

    Examples
    --------
    >>> with needs("onnx"):
    ...     raise ModuleNotFoundError(name="onnxruntime")
    Traceback (most recent call last):
    zoorank.errors.SourceError: this needs onnxruntime: pip install 'zoorank[onnx]'
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise lacking(extra, error) from error


def lacking(extra: str, error: ModuleNotFoundError) -> SourceError:
    """Build the error that says which extra brings a package whose import failed."""
    return SourceError(missing_package(error, extra) or "a package that it needs is not installed")


@dataclass(frozen=True)
class OpenOptions:
    """How to open a source.

    Attributes
    ----------
    modality : Modality
        Of the target: a model of several towers opens the one that takes it.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
    precision : {"float32", "bf16"}
    threads : int or None
        Of the framework's own pool; None leaves it as it is.
    """

    modality: Modality
    device: str = "auto"
    precision: Precision = "float32"
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            raise UsageError(
                f"unknown precision {self.precision!r}; {hint(self.precision, get_args(Precision))}"
            )


@dataclass(frozen=True)
class ModelFacts:
    """What an opened model is and costs.

    Attributes
    ----------
    framework : str
        Its name and version, such as ``"torch 2.13.0"``.
    parameters : int
        Numbers in its weights.
    bytes : int
        Of these numbers in memory.
    flops : int or None
        Operations of a whole pass over one sample; None where nobody counts them.
    batch_size : int or None
        The only size of a batch that it takes; None where any will do.
    largest : int or None
        Bytes of the largest output of a layer for one sample; None where nobody looks.
    precision : {"float32", "bf16"}
        What it computes in.
    """

    framework: str
    parameters: int
    bytes: int
    flops: int | None = None
    batch_size: int | None = None
    largest: int | None = None
    precision: Precision = "float32"


@dataclass(frozen=True)
class Known:
    """What is published about a source.

    Attributes
    ----------
    accuracy : float or None
        On ``benchmark``, 0 to 1.
    benchmark : str
        Such as ``"ImageNet-1k top-1"``.
    licence : str
        Its SPDX name where there is one.
    training_data : str
    origin : str
        Where these facts come from, with its date.
    """

    accuracy: float | None = None
    benchmark: str = ""
    licence: str = ""
    training_data: str = ""
    origin: str = ""


@dataclass(frozen=True)
class Cut:
    """A place to cut a model at. A kind of source may add what it needs to find it again.

    Attributes
    ----------
    name : str
        As the user names it.
    shape : tuple of int
        Of one sample there, before pooling.
    order : int
        Cuts of one model run in ascending order.
    flops_share : float
        Operations up to here over those of the whole model, 0 to 1.
    parameters_kept : int
        Parameters of what runs up to here.
    parameters_share : float
        The same over those of the whole model, 0 to 1.
    """

    name: str
    shape: tuple[int, ...]
    order: int
    flops_share: float
    parameters_kept: int
    parameters_share: float


@dataclass(frozen=True)
class Refusal:
    """A cut that was asked for and cannot be made, and why."""

    name: str
    reason: str


class Source(Protocol):
    """One entry of a zoo, not loaded: frozen, picklable and cheap."""

    @property
    def name(self) -> str:
        """What the table calls it."""
        ...

    @property
    def modalities(self) -> frozenset[Modality]:
        """What it can take in."""
        ...

    @property
    def cuts(self) -> tuple[str, ...] | None:
        """Where its manifest cuts it."""
        ...

    @property
    def trained_on(self) -> str | None:
        """Labelled data that it was trained on, if the manifest says so."""
        ...

    def resolve(self, events: Events) -> Source:
        """Pin what it names and, where that is allowed, fetch it; afterwards all is local."""

    def identity(self) -> Mapping[str, Json]:
        """All that its encodings depend on but the run's settings.

        ``weights`` among it is the SHA-256 of the weights, where they lie in files.
        """

    def known(self) -> Known:
        """What is published about it, read offline."""

    def open(self, options: OpenOptions) -> Encoder:
        """Load it.

        Raises
        ------
        SourceError
            When it cannot be loaded.
        """


class Encoder(AbstractContextManager["Encoder"], Protocol):
    """A loaded model in one process, and a context manager that gives its memory back."""

    @property
    def transform(self) -> Transform:
        """Samples to batches as the model wants them, not yet fitted to a target."""
        ...

    @property
    def facts(self) -> ModelFacts:
        """What it is and costs."""
        ...

    @property
    def device(self) -> str:
        """Where it runs."""
        ...

    def cuts(self, batch: Batch, wanted: Sequence[str]) -> tuple[Cut | Refusal, ...]:
        """Find the cuts that were asked for, deepest last; the batch may be run.

        ``"all"`` stands for the boundaries of blocks and the penultimate cut.

        Raises
        ------
        UsageError
            For a name that the model does not have, with the nearest and the usual ones.
        SourceError
            When the model cannot be fed the batch.
        """

    def encode(self, batch: Batch, cuts: Sequence[Cut]) -> Mapping[str, Array]:
        """Run the model as far as the deepest cut.

        Returns
        -------
        mapping of str to array of shape (batch.rows, n_features)
            float32 by name of the cut, pooled, where the model runs.

        Raises
        ------
        MemoryError
            When the batch does not fit, whatever the framework raises for it.
        SourceError
            When the batch cannot be run.
        """

    def empty(self, rows: int, features: int) -> Array:
        """Room for encodings where the model runs, float32; MemoryError where there is none."""


@runtime_checkable
class Guarded(Protocol):
    """A source whose code may be refused before anything of it is imported."""

    def refusal(self) -> str:
        """Why it may not be loaded; empty where it may."""
        ...


@runtime_checkable
class Sized(Protocol):
    """A source that knows how large it is before it is opened."""

    def size(self) -> int | None:
        """Bytes of its weights where these lie here; None where they would have to be fetched."""
        ...


@runtime_checkable
class Noting(Protocol):
    """An encoder with something to say of what it has encoded so far."""

    @property
    def note(self) -> str:
        """What a reader of the table should know, such as words not known; often empty."""


@runtime_checkable
class Metered(Protocol):
    """An encoder that has memory of its own, such as a GPU's, and knows how much of it it took."""

    @property
    def peak_memory(self) -> int:
        """Most bytes so far; 0 where it computes in main memory."""


@runtime_checkable
class Calibratable(Protocol):
    """An encoder that may need statistics of the target before it is of any use."""

    @property
    def calibrates(self) -> bool:
        """Whether it asks for them."""

    def calibrate(self, batch: Batch) -> None:
        """Take the statistics of one batch."""


@runtime_checkable
class Exportable(Protocol):
    """An encoder that can be written out, cut, for use without zoorank."""

    def export(self, cut: Cut, batch: Batch, folder: Path) -> tuple[Path, ...]:
        """Write what is kept of the model up to a cut and give the files."""
