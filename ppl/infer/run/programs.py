"""Compiled programs, kept by name; compilation goes on in the background while the caller traces the next one."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax

from ppl._typing import PyTree
from ppl.infer.run.compiler import compile_lowered, compiler_options

__all__ = ["Programs"]

Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]


def _plain(fn: Callable[..., Any]) -> Callable[..., Any]:
    return fn


def _only_plain() -> Sequence[Wrapper]:
    return (_plain,)


class Programs:
    """The programs of one model with arguments of one shape.

    Each is traced by the caller's thread when it is first prepared, and compiled in another. A way of building that the compiler
    refuses is followed by the next one.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=max(2, (os.cpu_count() or 2) // 2), thread_name_prefix="ppl-compile")
        self._pending: dict[Any, tuple[Future[Any], list[Wrapper], Callable[..., Any], tuple[PyTree, ...]]] = {}
        self._ready: dict[Any, Any] = {}
        self._outputs: dict[Any, PyTree] = {}

    def prepare(
        self,
        name: Any,
        fn: Callable[..., Any],
        args: Sequence[PyTree],
        wrappers: Callable[[], Sequence[Wrapper]] = _only_plain,
        *,
        runs_once: bool = False,
    ) -> PyTree:
        """Begin to compile `fn` for arguments like `args` (arrays or shapes), unless that has been done.

        Args:
            name: of the program.
            fn: what to compile.
            args: arguments, or their shapes and types.
            wrappers: ways of building it, the best first.
            runs_once: whether it is over sooner than it could be optimized.

        Returns:
            Shapes and types of what `fn` returns.
        """
        if name not in self._outputs:
            first, *others = wrappers()
            traced = jax.jit(first(fn)).trace(*args)
            options, lowered = compiler_options(traced.jaxpr.jaxpr, runs_once=runs_once), traced.lower()
            self._pending[name] = (self._pool.submit(compile_lowered, lowered, options), others, fn, tuple(args))
            self._outputs[name] = lowered.out_info
        return self._outputs[name]

    def get(self, name: Any) -> Any:
        """The compiled program."""
        if name not in self._ready:
            future, others, fn, args = self._pending.pop(name)
            self._ready[name] = _result(future, others, fn, args)
        return self._ready[name]


def _result(future: Future[Any], others: Sequence[Wrapper], fn: Callable[..., Any], args: tuple[PyTree, ...]) -> Any:
    try:
        return future.result()
    except jax.errors.JaxRuntimeError:
        for wrapper in others:
            try:
                return jax.jit(wrapper(fn)).lower(*args).compile()
            except jax.errors.JaxRuntimeError:
                continue
        raise
