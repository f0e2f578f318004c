"""A GPU to rehearse on: tensors that say they are on `cuda`, follow its rules and keep their values on the CPU.

To torch they are on `meta`, for which its builds for the CPU have all that autograd asks a device for;
`__torch_dispatch__` computes with their values. Autocast on `cuda` has no effect on them.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar, cast
from unittest.mock import patch

import torch
import torch._dynamo  # optimisers load it, and it cannot be loaded while functions of torch.cuda are replaced
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _foreach_utils, _pytree
from torch.utils._python_dispatch import TorchDispatchMode

import disentangle_pl

PACKAGE = str(Path(disentangle_pl.__file__).parent) + "/"
GPU, META = torch.device("cuda", 0), torch.device("meta")
aten = torch.ops.aten
COPIES = {aten._to_copy, aten.copy_}
INDEXED = {aten.index, aten.index_put, aten.index_put_, aten._unsafe_index, aten._index_put_impl_}
JOINED = {aten.cat, aten.stack, aten._fused_adam_, aten._fused_adamw_, aten._fused_sgd_}  # take no scalar of the CPU
WAITING = {
    aten._linalg_eigh,
    aten._linalg_svd,
    aten._local_scalar_dense,
    aten._unique2,
    aten.bincount,
    aten.equal,
    aten.masked_select,
    aten.nonzero,
    aten.repeat_interleave,
    aten.unique_consecutive,
    aten.unique_dim,
}


class GpuTensor(Tensor):
    """A tensor on the rehearsed GPU.

    Attributes:
        host: What it holds, on the CPU.
    """

    host: Tensor
    device = GPU
    is_cuda = True
    is_meta = False

    @staticmethod
    def __new__(cls: Any, values: Tensor) -> "GpuTensor":
        """Put values on the rehearsed GPU."""
        with torch.inference_mode(False):  # autograd has no views of other tensors that are made in it
            made = Tensor._make_wrapper_subclass(
                cls,
                values.size(),
                strides=values.stride(),
                storage_offset=values.storage_offset(),
                dtype=values.dtype,
                device=META,
            )
            made.host = values.detach()
        return cast("GpuTensor", made)

    @property
    def data(self) -> Tensor:
        """The same values for autograd to overlook."""
        return self.detach()

    @data.setter
    def data(self, other: Tensor) -> None:
        if not isinstance(other, GpuTensor):
            raise RuntimeError("incompatible tensor type: the data of a tensor on cuda cannot be on the CPU")
        self.host = other.host

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        """Follow the rules outside the rehearsal too."""
        return compute(func, args, kwargs or {})

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Be saved as what a checkpoint that is read on the CPU holds."""
        return self.host.__reduce_ex__(protocol)  # type: ignore[no-untyped-call]

    def __repr__(self) -> str:  # type: ignore[override]
        return f"GpuTensor({self.host})"

    def __format__(self, form: str) -> str:
        return format(self.cpu(), form)

    def tolist(self) -> Any:
        """Copy to the host, as the method does on a GPU; torch has none for tensors of other classes."""
        return self.cpu().tolist()


class Generator(torch.Generator):
    """A generator of the device it is asked for, in truth one of the CPU."""

    on_gpu: ClassVar[dict[int, "Generator"]] = {}  # by the address of what torch hands on

    def __new__(cls, device: Any = "cpu") -> "Generator":
        """Make one, and remember it if it is to be on the rehearsed GPU."""
        made = super().__new__(cls)
        if torch.device(device).type == "cuda":
            cls.on_gpu[made._cdata] = made  # type: ignore[attr-defined]
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """The device it was asked for."""
        return GPU if self._cdata in self.on_gpu else torch.device("cpu")  # type: ignore[attr-defined]


WAITS: Counter[str] = Counter()


def note(operation: str) -> None:
    """Note that the CPU waits for the GPU, and where in the package."""
    frame: FrameType | None = sys._getframe()
    while frame and not frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    where = f"{frame.f_code.co_filename.removeprefix(PACKAGE)}:{frame.f_lineno}" if frame else "torch"
    WAITS[f"{operation} in {where}"] += 1


@contextmanager
def waits() -> Iterator[Counter[str]]:
    """Count what makes the CPU wait for the GPU, by operation and line of the package."""
    before = WAITS.copy()
    counted: Counter[str] = Counter()
    yield counted
    counted.update(WAITS - before)


def compute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Refuse what a GPU refuses, note what makes the CPU wait for it, and compute the operation on the CPU.

    Raises:
        RuntimeError: If a GPU would refuse the operation because of where its arguments are.
    """
    flat, form = _pytree.tree_flatten((args, kwargs))
    tensors = [value for value in flat if isinstance(value, Tensor)]
    assert not any(tensor.is_meta for tensor in tensors), f"{func} got a tensor whose values torch has made away with"
    on_gpu = _on_gpu(func.overloadpacket, args, kwargs, tensors)
    if any(isinstance(value, torch._C.Generator) and (value._cdata in Generator.on_gpu) != on_gpu for value in flat):  # type: ignore[attr-defined]
        raise RuntimeError(f"{func} expected a generator on {'cuda' if on_gpu else 'cpu'}")
    args, kwargs = _pytree.tree_unflatten([_on_cpu(value) for value in flat], form)
    result = func(*args, **kwargs)
    if not on_gpu:
        return result
    own = {id(value.host): value for value in tensors if isinstance(value, GpuTensor)}
    return _pytree.tree_map_only(
        Tensor, lambda values: own[id(values)] if id(values) in own else GpuTensor(values), result
    )


def _on_cpu(value: Any) -> Any:
    if isinstance(value, torch.device):
        return torch.device("cpu")
    return value.host if isinstance(value, GpuTensor) else value


def _on_gpu(packet: Any, args: Any, kwargs: dict[str, Any], tensors: list[Tensor]) -> bool:
    """Tell whether the result is on the GPU."""
    device = kwargs.get("device")
    if packet in COPIES:
        return _copied(packet, args, kwargs)
    if device is not None:
        return bool(device.type != "cpu")
    if packet in INDEXED:
        return _indexed(packet, *args)
    places = {isinstance(tensor, GpuTensor) for tensor in tensors}
    if packet in WAITING and True in places:
        note(packet.__name__)
    if len(places) < 2:
        return True in places
    far = [tensor for tensor in tensors if not isinstance(tensor, GpuTensor) and (tensor.dim() or packet in JOINED)]
    written = packet.__name__.endswith("_") and isinstance(args[0], Tensor) and not isinstance(args[0], GpuTensor)
    if far or written:
        raise RuntimeError(f"Expected all tensors to be on the same device: {packet} has some on cuda, some on cpu")
    return True


def _copied(packet: Any, args: Any, kwargs: dict[str, Any]) -> bool:
    if packet is aten.copy_:
        target, source, waiting = isinstance(args[0], GpuTensor), isinstance(args[1], GpuTensor), not any(args[2:])
    else:
        source, device = isinstance(args[0], GpuTensor), kwargs.get("device")
        target, waiting = source if device is None else device.type != "cpu", not kwargs.get("non_blocking")
    if source != target and waiting:
        note(f"copy to {'cuda' if target else 'cpu'}")
    return target


def _indexed(packet: Any, source: Tensor, indices: Any, values: Tensor | None = None, *more: Any) -> bool:
    given = [index for index in indices if index is not None]
    if not isinstance(source, GpuTensor):
        if any(isinstance(tensor, GpuTensor) for tensor in (*given, values)):
            raise RuntimeError(f"{packet}: indices should be on the CPU, as the indexed tensor is")
        return False
    if values is not None and not isinstance(values, GpuTensor) and values.dim():
        raise RuntimeError(f"{packet}: expected values on cuda")
    filled = values is not None and values.numel() == 1 and len(given) == 1  # becomes a masked fill
    if any(not isinstance(index, GpuTensor) or (index.dtype == torch.bool and not filled) for index in given):
        note(f"{packet.__name__} by a mask, or by a tensor of the CPU")
    return True


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})


class _Functions(TorchFunctionMode):
    """Put what is asked for on `cuda` on `meta`, where torch comes to no end for lack of a GPU."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is Tensor.cuda:
            return args[0].to(META, **kwargs)
        if "device" in kwargs:
            kwargs["device"] = _mapped(kwargs["device"])
        if func is Tensor.to:
            args = tuple(map(_mapped, args))
        if func in (Tensor.__getitem__, Tensor.__setitem__):
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            index = tuple(torch.tensor(part) if isinstance(part, list) else part for part in index)
            args = (args[0], index, *args[2:])
        if func in (torch.tensor, torch.as_tensor, Tensor.new_tensor):
            like = args[0].device if func is Tensor.new_tensor else "cpu"
            device = _mapped(kwargs.pop("device", like))
            data = args[-1]
            made = torch.as_tensor(data, **kwargs) if func is torch.as_tensor else torch.tensor(data, **kwargs)
            return made.to(device)
        return func(*args, **kwargs)


def _mapped(value: Any) -> Any:
    if isinstance(value, str | torch.device) and str(value).startswith("cuda"):
        return META
    return value


def _nothing(*args: Any, **kwargs: Any) -> None:
    """Stand in for what only a GPU has."""


@contextmanager
def rehearsal() -> Iterator[None]:
    """Have one GPU until the end of the block."""
    has: dict[str, Any] = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "is_initialized": lambda: True,
        "is_bf16_supported": lambda *args: True,
        "get_device_capability": lambda *args: (9, 0),
        "get_device_name": lambda *args: "rehearsed",
        "get_rng_state": lambda *args: torch.get_rng_state(),
        "get_rng_state_all": lambda: [torch.get_rng_state()],
        "set_rng_state": lambda state, *args: torch.set_rng_state(state),
        "set_rng_state_all": lambda states: torch.set_rng_state(states[0]),
        "memory_stats": lambda *args: {},
    } | dict.fromkeys(("set_device", "empty_cache", "manual_seed", "manual_seed_all", "synchronize"), _nothing)
    types = [*_foreach_utils._foreach_supported_types, GpuTensor]
    overwrites = torch.__future__.get_overwrite_module_params_on_conversion()
    with (
        patch.multiple(torch.cuda, **has),
        patch.object(torch, "Generator", Generator),
        patch.object(_foreach_utils, "_foreach_supported_types", types),
        _Operations(),  # type: ignore[no-untyped-call]
        _Functions(),
    ):
        torch.__future__.set_overwrite_module_params_on_conversion(True)  # or parameters stay of their own class
        try:
            yield
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(overwrites)
            Generator.on_gpu.clear()
