"""The emulated CUDA device (tests/cpp/cuda_on_host), and arrays of other libraries on it."""

import ctypes

import numpy as np
import pytest

import zoorank
from zoorank.engine import cuda

EMULATED = "emulated" in "".join(zoorank.build_info()["cuda_devices"])
on_the_emulator = pytest.mark.skipif(
    not EMULATED, reason="needs the emulated device of `make cuda-on-host`"
)


class Machine:
    """What controls.hpp offers."""

    def __init__(self):
        from zoorank import _cuda

        self._library = ctypes.CDLL(_cuda.__file__)
        self._library.emulated_cuda_set.restype = ctypes.c_bool
        self._library.emulated_cuda_set.argtypes = [ctypes.c_char_p, ctypes.c_int64]
        self._library.emulated_cuda_get.restype = ctypes.c_int64
        self._library.emulated_cuda_allocate.restype = ctypes.c_void_p
        self._library.emulated_cuda_allocate.argtypes = [ctypes.c_int, ctypes.c_size_t]
        self._library.emulated_cuda_free.argtypes = [ctypes.c_void_p]
        self._library.emulated_cuda_stream.restype = ctypes.c_size_t
        self._library.emulated_cuda_copy.argtypes = [
            ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t,
        ]  # fmt: skip

    def set(self, **settings):
        for name, value in settings.items():
            assert self._library.emulated_cuda_set(name.encode(), value), name

    def __getitem__(self, name):
        return self._library.emulated_cuda_get(name.encode())

    def stream(self, device=0):
        return self._library.emulated_cuda_stream(device)

    def empty(self, size, dtype, device=0):
        """A flat array in memory of a device, which ends with it."""
        nbytes = int(size) * np.dtype(dtype).itemsize
        address = self._library.emulated_cuda_allocate(device, nbytes)
        return Owner(self._library, address, nbytes).array(dtype)

    def put(self, values, device=0):
        """A copy in memory of a device, laid out in the same order."""
        there = self.empty(values.size, values.dtype, device)
        order = "F" if values.flags.f_contiguous and not values.flags.c_contiguous else "C"
        there[:] = values.ravel(order)
        return there.reshape(values.shape, order=order)

    def put_later(self, there, values, stream):
        """The same when the stream gets there."""
        values = np.ascontiguousarray(values)
        self._library.emulated_cuda_copy(
            there.ctypes.data, values.ctypes.data, values.nbytes, stream
        )


class Owner:
    def __init__(self, library, address, nbytes):
        self._library, self._address, self._nbytes = library, address, nbytes

    def __del__(self):
        self._library.emulated_cuda_free(self._address)

    def array(self, dtype):
        memory = (ctypes.c_char * self._nbytes).from_address(self._address)
        memory.owner = self
        return np.frombuffer(memory, dtype)


class InterfaceOnly:
    """An array that says where it lies, by `__cuda_array_interface__`, and nothing else."""

    def __init__(self, there, **interface):
        self._there = there
        self.__cuda_array_interface__ = {
            "shape": there.shape,
            "typestr": there.dtype.str,
            "data": (there.ctypes.data, False),
            "strides": there.strides,
            "version": 3,
            **interface,
        }


class LikeCuPy(InterfaceOnly):
    """An array that can be converted where it lies, and copied to the host when asked."""

    def __init__(self, machine, there, **interface):
        super().__init__(there, **interface)
        self._machine = machine
        self.shape, self.dtype = there.shape, there.dtype

    def astype(self, dtype):
        return LikeCuPy(self._machine, self._machine.put(self._there.astype(dtype)))

    def copy(self):
        return LikeCuPy(self._machine, self._machine.put(np.array(self._there, order="C")))

    def get(self):
        return np.array(self._there)

    def __array__(self, *_):
        raise TypeError("implicit conversion to a NumPy array is not allowed")


class DLPackOnly:
    """An array that speaks DLPack and nothing else, on a device of CUDA."""

    def __init__(self, there, index=0, kind=2):
        self._there, self._device = there, (kind, index)
        self.streams = []

    def __dlpack_device__(self):
        return self._device

    def __dlpack__(self, *, stream=None):
        self.streams.append(stream)
        capsule = self._there.__dlpack__()
        address_of = ctypes.pythonapi.PyCapsule_GetPointer
        address_of.restype = ctypes.c_void_p
        address_of.argtypes = [ctypes.py_object, ctypes.c_char_p]
        tensor = address_of(capsule, b"dltensor")
        device = (ctypes.c_int32 * 2).from_address(tensor + ctypes.sizeof(ctypes.c_void_p))
        device[:] = self._device
        return capsule


@pytest.fixture(name="machine")
def emulated_machine():
    """The machine; what a test sets is undone, and nothing that it made is left."""
    machine = Machine()
    names = ("devices", "major", "minor", "memory", "driver")
    before = {name: machine[name] for name in names}
    left = machine["allocations"], machine["events"]
    yield machine
    machine.set(**before, failing_allocation=0, failing_launch=0, faulting_launch=0)
    assert (machine["allocations"], machine["events"]) == left


def surrogate_of(X, codes, progress=None):
    statistics = cuda.DeviceStatistics(codes, X.shape[1], "euclidean")
    return statistics.surrogate(cuda.to_device(X), 0, 0, progress)


def radii_of(X, codes):
    statistics = cuda.DeviceStatistics(codes, X.shape[1], "euclidean")
    return statistics.radii(cuda.to_device(X), 0, 0, None)


def silhouettes_of_some(X, codes, rows, progress=None):
    statistics = cuda.DeviceStatistics(codes, X.shape[1], "euclidean")
    exact = cuda.DeviceExactRows(statistics, rows, rows)
    exact.add(cuda.to_device(X), 0, 0, progress)
    return exact.silhouettes(len(rows))
