"""Let torchvision be imported beside a torch whose build its own operators do not fit.

The wheel of torchvision on PyPI belongs to a torch with CUDA. Beside the CPU build of the same
torch its library of operators does not load, and `import torchvision` fails when it registers
two of them. Its models and transforms, which are all that is tested here, need neither. So where
the import has failed in this way, the two are declared, with nothing behind them, and torchvision
is imported again. Where it loads by itself, nothing is declared.

Run as a program, this writes a ``.pth`` file that imports it at every start of the Python that
runs it, so that worker processes and commands of the test environment have it too. It imports
nothing until torchvision is asked for.
"""

import sys
from importlib.machinery import PathFinder

DECLARED = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
kept = []  # operators live as long as the library that declares them


class Finder:
    """Finds torchvision alone, with a loader that tries twice."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "torchvision":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            run_once = spec.loader.exec_module

            def run_twice(module):
                try:
                    run_once(module)
                except RuntimeError as error:
                    if "operator torchvision::" not in str(error):
                        raise
                    declare()
                    run_once(module)

            spec.loader.exec_module = run_twice
        return spec


def declare():
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in DECLARED:
        library.define(operator)
    kept.append(library)
    for name in [name for name in sys.modules if name.startswith("torchvision.")]:
        del sys.modules[name]


def write_pth():
    import sysconfig
    from pathlib import Path

    here = Path(__file__).resolve()
    line = f"import sys; sys.path.append({str(here.parent)!r}); import {here.stem}\n"
    Path(sysconfig.get_path("purelib"), "zoorank_tests.pth").write_text(line)


if __name__ == "__main__":
    write_pth()
else:
    sys.meta_path.insert(0, Finder)
