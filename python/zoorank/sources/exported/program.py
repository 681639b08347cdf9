"""An exported program: its graph, where it can be cut, and a pass that ends there."""

from __future__ import annotations

import io
import warnings
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.export.passes import move_to_device_pass

from zoorank.messages import listing, one_line
from zoorank.sources.bottlenecks import Step, block_ends
from zoorank.sources.exported import operators as of
from zoorank.sources.files import SourceFile
from zoorank.sources.heads import Head, Kind, Made, NoCutError, before_copies, find_head
from zoorank.sources.inputs import Input


def load(content: bytes, file: SourceFile, device: torch.device) -> ExportedProgram:
    """Load an archive; it has to be one that may be trusted with all that torch does then.

    Raises
    ------
    SourceError
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.load(io.BytesIO(content))
            if any(tensor.device != device for tensor in program.state_dict.values()):
                program = move_to_device_pass(program, device)
    except Exception as error:
        raise file.refuse(f"cannot be loaded: {one_line(error, 200)}") from error
    return program


def runner(path: Path) -> Callable[..., NDArray[np.float32]]:
    """What runs a program on a batch: arrays in, an array out.

    Raises
    ------
    SourceError
        When it holds anything that is not harmless, or cannot be loaded.
    """
    from zoorank.sources.exported.archive import harmless

    file = SourceFile(path.name, path)
    content = harmless(path.read_bytes(), file)
    module: Any = load(content, file, torch.device("cpu")).module()

    def run(*arrays: NDArray[Any]) -> NDArray[np.float32]:
        with torch.no_grad():
            found = module(*map(torch.from_numpy, arrays))
        # What is left of an archive made harmless gives its outputs in a row.
        (output,) = found if isinstance(found, tuple | list) else (found,)
        encoding: NDArray[np.float32] = output.numpy()
        return encoding

    return run


class Program:
    """The graph of an exported program with its weights.

    Parameters
    ----------
    program : torch.export.ExportedProgram
    output : str or None
        Which of its outputs stands for the whole, where there are several.
    shuffled : int or None
        Seed by which the numbers of each weight matrix and kernel change places.
    file : SourceFile
        For messages.
    """

    def __init__(
        self,
        program: ExportedProgram,
        file: SourceFile,
        output: str | None = None,
        shuffled: int | None = None,
    ) -> None:
        self.module, self.file = program.graph_module, file
        self.graph = self.module.graph
        self.nodes = {node.name: node for node in self.graph.nodes if node.op != "output"}
        self.places = {name: place for place, name in enumerate(self.nodes)}
        self.weights: dict[str, Tensor] = {}
        self.trained: set[str] = set()
        inputs: list[str] = []
        for spec in program.graph_signature.input_specs:
            name = str(getattr(spec.arg, "name", ""))
            if spec.kind == InputKind.USER_INPUT:
                inputs += [name] if name in self.nodes else []
            elif name in self.nodes:
                self.weights[name] = self._weight(program, spec, shuffled)
                if spec.kind == InputKind.PARAMETER:
                    self.trained.add(name)
        self.inputs = tuple(self._input(name) for name in inputs)
        outputs = [str(name) for name in program.graph_signature.user_outputs]
        self.output = self._chosen(outputs, output)

    def parameters(self, names: Collection[str]) -> tuple[int, int]:
        """Numbers in the parameters among some nodes, and bytes of these; statistics are none."""
        every = {id(self.weights[name]): self.weights[name] for name in self.trained & set(names)}
        count = sum(each.numel() for each in every.values())
        return count, sum(each.numel() * each.element_size() for each in every.values())

    def needed(self, values: Collection[str]) -> list[fx.Node]:
        """Nodes that some values depend on, in the order in which they run."""
        left, found = [self.nodes[value] for value in values], set()
        while left:
            node = left.pop()
            if node not in found:
                found.add(node)
                left += node.all_input_nodes
        return sorted(found, key=lambda node: self.places[node.name])

    def run(
        self,
        inputs: Mapping[str, Tensor],
        values: Collection[str],
        on_node: Callable[[str, Any], None] | None = None,
    ) -> dict[str, Any]:
        """Run what some values depend on and nothing else; each is let go behind its last use."""
        nodes = self.needed(values)
        uses: dict[fx.Node, int] = {}
        for node in nodes:
            for read in node.all_input_nodes:
                uses[read] = uses.get(read, 0) + 1
        kept = {self.nodes[value] for value in values}
        interpreter = fx.Interpreter(self.module, garbage_collect_values=False)
        for node in nodes:
            interpreter.env[node] = self._made(interpreter, node, inputs)
            if on_node is not None:
                on_node(node.name, interpreter.env[node])
            for read in node.all_input_nodes:
                uses[read] -= 1
                if not uses[read] and read not in kept:
                    del interpreter.env[read]
        return {value: interpreter.env[self.nodes[value]] for value in values}

    def _made(
        self, interpreter: fx.Interpreter, node: fx.Node, inputs: Mapping[str, Tensor]
    ) -> Any:
        if node.op == "placeholder":
            return self.weights[node.name] if node.name in self.weights else inputs[node.name]
        return interpreter.run_node(node)

    @cached_property
    def modules(self) -> dict[str, str | None]:
        """What each module gives, by its path: a value, or None where these are several.

        A module that runs several times is named by its calls, ``block@1`` and so on.
        """
        inside: dict[tuple[str, int], list[fx.Node]] = {}
        for node in self.nodes.values():
            for key, (path, _) in (node.meta.get("nn_module_stack") or {}).items():
                number = str(key).rpartition("@")[2] if "@" in str(key) else "0"
                if path and number.isdigit():
                    inside.setdefault((str(path), int(number)), []).append(node)
        paths = [path for path, _ in inside]
        found: dict[str, str | None] = {}
        for (path, call), nodes in inside.items():
            own = set(nodes)
            given = [node for node in nodes if not own.issuperset(node.users)]
            name = path if paths.count(path) == 1 else f"{path}@{call + 1}"
            found[name] = given[0].name if len(given) == 1 else None
        return found

    def named(self, value: str) -> str:
        """The outermost module that gives a value, else the value itself."""
        paths = [path for path, given in self.modules.items() if given == value]
        return min(paths, key=lambda path: (path.count("."), len(path)), default=value)

    def blocks(self, main: str) -> list[str]:
        """Values that all of the main input goes through, each before weights are met again."""
        made = self.made(main)
        steps = [
            Step(how.reads, (name,), how.what in of.WITH_WEIGHTS)
            for name, how in made.items()
            if how.reads
        ]
        head = self.head(main).penultimate
        end = self.places[self.output if isinstance(head, NoCutError) else head]
        ends = (before_copies(made, each) for each in block_ends(steps, main, self.output))
        return [each for each in dict.fromkeys(ends) if self.places[each] < end]

    def head(self, main: str) -> Head[str]:
        """What the program says, and what feeds that."""
        return find_head(self.made(main), self.output)

    def reached(self, main: str) -> set[str]:
        """Values that change with the content of an input."""
        found = {main}
        for node in self.nodes.values():
            reads = {read.name for read in node.all_input_nodes}
            if node.op == "call_function" and _name(node) not in of.SHAPES and reads & found:
                found.add(node.name)
        return found

    def made(self, main: str) -> dict[str, Made[str]]:
        """How every value is made that depends on an input."""
        reached = self.reached(main)
        return {
            node.name: _how(node, reached)
            for node in self.nodes.values()
            if node.name in reached and node.name != main
        }

    def channel_axes(self, main: str, axis: int | None) -> dict[str, int]:
        """The axis of channels of every value of which it is certain; of the last axis, -1."""
        reached = self.reached(main)
        axes = {} if axis is None else {main: axis}
        for node in self.nodes.values():
            if node.name in reached and node.name != main:
                found = _axis(node, axes, reached)
                if found is not None:
                    axes[node.name] = found
        return axes

    def _weight(self, program: ExportedProgram, spec: Any, shuffled: int | None) -> Tensor:
        target = str(spec.target)
        found = program.state_dict.get(target, program.constants.get(target))
        if not isinstance(found, Tensor):
            raise self.file.refuse(f"its weight {target!r} is missing")
        if shuffled is None or found.ndim < 2 or not found.is_floating_point():
            return found
        rng = np.random.default_rng([shuffled, zlib.crc32(target.encode())])
        order = torch.from_numpy(rng.permutation(found.numel())).to(found.device)
        return found.detach().flatten()[order].reshape(found.shape)

    def _input(self, name: str) -> Input:
        value = self.nodes[name].meta.get("val")
        if not isinstance(value, Tensor):
            raise self.file.refuse(f"its input {name!r} is no tensor")
        sides: tuple[Any, ...] = tuple(value.shape)  # numbers, or symbols of any length
        dims = tuple(side if isinstance(side, int) else None for side in sides)
        return Input(name, dims, np.dtype(str(value.dtype).removeprefix("torch.")))

    def _chosen(self, outputs: Sequence[str], wanted: str | None) -> str:
        known = [name for name in outputs if name in self.nodes]
        if wanted is None and len(known) == 1:
            return known[0]
        named = {each: name for name in known for each in (name, self.named(name))}
        if wanted in named:
            return named[wanted]
        raise self.file.refuse(
            f"gives {len(outputs)} outputs ({listing(known)}): say which one stands for the whole "
            "with output = 'NAME'"
        )


def _name(node: fx.Node) -> str:
    """Name of an operator, without its overload."""
    packet = getattr(node.target, "overloadpacket", node.target)
    return str(getattr(packet, "__name__", packet))


def _how(node: fx.Node, reached: Collection[str]) -> Made[str]:
    kind: Kind = "other"
    what = _name(node)
    reads = tuple(read.name for read in node.all_input_nodes if read.name in reached)
    if what == "getitem" and node.args[1] == 0:  # of several outputs, the values themselves
        kind = "same" if _name(node.all_input_nodes[0]) in of.SAME else "other"
    elif what in of.SAME:
        kind = "same"
    elif what in of.VIEWS:
        kind = "view"
    elif what in of.MEANS:
        kind = "mean"
    elif what in of.PEAKS:
        kind = "peak"
    elif what in of.CONVOLUTIONS:
        kind = "convolution"
    elif what in of.PRODUCTS and len(reads) == 1:
        kind = "product"
    elif what in of.ENDS:
        kind = "softmax"
    elif what in of.LINEAR and (len(reads) == 1 or what not in ("mul", "div")):
        kind = "linear"
    return Made(kind, reads, what)


def _axis(node: fx.Node, axes: Mapping[str, int], reached: Collection[str]) -> int | None:
    what = _name(node)
    reads = [read.name for read in node.all_input_nodes if read.name in reached]
    known = {axes[name] for name in reads if name in axes}
    if what in of.CHANNELS_FIRST:
        return 1
    if what in of.CHANNELS_LAST and len(reads) == 1:
        return -1
    if what in of.NORMS and not known:
        shape: Any = node.args[1]
        return -1 if len(shape) == 1 else None
    if len(known) != 1:
        return None
    (axis,) = known
    if what in of.KEEPS or what in of.NORMS or (what == "getitem" and node.args[1] == 0):
        return axis
    if what in ("permute", "transpose"):
        return _turned(node, axis)
    return None


def _turned(node: fx.Node, axis: int) -> int | None:
    value = node.meta.get("val")
    if not isinstance(value, Tensor):
        return None
    if _name(node) == "permute":
        order: Any = node.args[1]
        return [each % value.ndim for each in order].index(axis % value.ndim)
    one, other = (int(each) % value.ndim for each in node.args[1:3])  # type: ignore[arg-type]
    return {one: other, other: one}.get(axis % value.ndim, axis)
