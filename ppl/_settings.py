"""Settings of JAX that users set through `ppl`, before the first computation."""

import os
import re

import jax

__all__ = ["enable_x64", "set_host_device_count", "set_platform"]

_PLATFORMS = ("cpu", "cuda", "rocm", "tpu", "METAL")
_TRUE = {"1", "on", "t", "true", "y", "yes"}


def enable_x64(use_x64: bool = True) -> None:
    """Use 64-bit numbers by default (`True`), or what the environment variable `JAX_ENABLE_X64` says (`False`).

    Raises:
        TypeError: if it is no bool.
    """
    if not isinstance(use_x64, bool):
        raise TypeError(f"enable_x64: expected True or False, found {use_x64!r}")
    if not use_x64:
        use_x64 = os.environ.get("JAX_ENABLE_X64", "").lower() in _TRUE
    jax.config.update("jax_enable_x64", use_x64)


def set_platform(platform: str | None = None) -> None:
    """Choose where JAX computes; it takes effect only before the first computation.

    Args:
        platform: one of `cpu`, `cuda`, `rocm`, `tpu`, `METAL`, or several of them separated by commas; `None` for what the
            environment variable `JAX_PLATFORMS` says.

    Raises:
        ValueError: for any other name.
        TypeError: if it is no string.
    """
    if platform is None:
        platform = os.environ.get("JAX_PLATFORMS", "")
    if not isinstance(platform, str):
        raise TypeError(f"set_platform: expected names out of {', '.join(_PLATFORMS)} in a string, found {platform!r}")
    for name in filter(None, platform.split(",")):
        if name not in _PLATFORMS:
            raise ValueError(f"set_platform: expected names out of {', '.join(_PLATFORMS)} separated by commas, found {platform!r}")
    jax.config.update("jax_platforms", platform)


def set_host_device_count(n: int) -> None:
    """Let the CPU appear as `n` devices; other flags in `XLA_FLAGS` are kept.

    It takes effect only before the first computation, and parallel chains do not need it.

    Raises:
        ValueError: if `n` is not a positive whole number.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"set_host_device_count: expected a positive number of devices, found {n!r}")
    flags = re.sub(r"--xla_force_host_platform_device_count=\S+", "", os.environ.get("XLA_FLAGS", "")).split()
    os.environ["XLA_FLAGS"] = " ".join([f"--xla_force_host_platform_device_count={n}", *flags])
