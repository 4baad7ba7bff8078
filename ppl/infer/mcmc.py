"""The MCMC driver: run chains of any kernel, keep their draws, summarise them."""

import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._random import is_typed
from ppl._typing import Key, PyTree
from ppl.diagnostics import live_diagnostics, print_summary
from ppl.infer import inferencedata
from ppl.infer.arguments import check_count
from ppl.infer.kernel import MCMCKernel
from ppl.infer.launch import Launch, is_traced, key_of_chain, stack_carries, unstack_carry
from ppl.infer.results import Results, without_site
from ppl.infer.run.chains import Monitor
from ppl.infer.run.collect import Thinning, collect_all
from ppl.infer.run.execute import Execution, Plan, execute, prepare_advance, prepare_finish
from ppl.infer.run.interleaved import vectorized
from ppl.infer.run.progress import Bars, Silent
from ppl.infer.run.store import Draws, Finish
from ppl.util import as_key, find_stack_level

__all__ = ["MCMC", "MCMCKernel"]

CHAIN_METHODS = ("parallel", "sequential", "vectorized")


class MCMC:
    """Runs Markov chains and keeps their draws.

    Args:
        sampler: the kernel, such as `NUTS(model)`.
        num_warmup: iterations of adaptation, which are thrown away.
        num_samples: iterations after warm-up.
        num_chains: number of chains.
        thinning: keep every so many-th draw; the last one is kept.
        postprocess_fn: maps one unconstrained draw to what `get_samples` returns, in place of the kernel's own.
        chain_method: `"parallel"`: a thread for each chain, spread over the devices; `"sequential"`: one after another;
            `"vectorized"`: all in one batched program (for accelerators); or a function like `jax.vmap`.
        progress_bar: whether to show progress; never where the environment has `CI` or `PYTEST_XDIST_WORKER`.
        progress_rate: iterations between two updates of the bar; default: a twentieth of the run.
        jit_model_args: require that all arguments of the model are arrays. Arrays are arguments of the compiled program anyway.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> import ppl
        >>> import ppl.distributions as dist
        >>> from jax import random
        >>> from ppl.infer import MCMC, NUTS
        >>> def model(y):
        ...     mu = ppl.sample("mu", dist.Normal(0.0, 10.0))
        ...     with ppl.plate("data", len(y)):
        ...         ppl.sample("y", dist.Normal(mu, 1.0), obs=y)
        >>> mcmc = MCMC(NUTS(model), num_warmup=100, num_samples=100, num_chains=2, progress_bar=False)
        >>> mcmc.run(random.key(0), jax.numpy.array([1.0, 2.0]))
        >>> mcmc.get_samples(group_by_chain=True)["mu"].shape
        (2, 100)
    """

    def __init__(
        self,
        sampler: MCMCKernel,
        *,
        num_warmup: int,
        num_samples: int,
        num_chains: int = 1,
        thinning: int = 1,
        postprocess_fn: Callable[[Any], Any] | None = None,
        chain_method: str | Callable[..., Any] = "parallel",
        progress_bar: bool = True,
        progress_rate: int | None = None,
        jit_model_args: bool = False,
    ) -> None:
        if not isinstance(sampler, MCMCKernel):
            raise TypeError(_not_a_kernel(sampler))
        check_count("MCMC", "num_warmup", num_warmup, 0)
        check_count("MCMC", "thinning", thinning)
        check_count("MCMC", "num_samples", num_samples)
        if num_samples < thinning:
            raise ValueError(f"MCMC: num_samples must be at least thinning={thinning}, found {num_samples}; thin less or draw more")
        check_count("MCMC", "num_chains", num_chains)
        if progress_rate is not None:
            check_count("MCMC", "progress_rate", progress_rate)
        if postprocess_fn is not None and not callable(postprocess_fn):
            raise TypeError(f"MCMC: postprocess_fn must be a function of one draw, found {postprocess_fn!r}")
        self.sampler = sampler
        self.num_warmup = int(num_warmup)
        self.num_samples = int(num_samples)
        self.num_chains = int(num_chains)
        self.thinning = int(thinning)
        self.postprocess_fn = postprocess_fn
        self.chain_method = chain_method
        self.progress_bar = progress_bar and not {"CI", "PYTEST_XDIST_WORKER"} & set(os.environ)
        self.progress_rate = progress_rate
        self.post_warmup_state: Any = None
        self._jit_model_args = jit_model_args
        self._check_chain_method()
        self._results: Results | None = None
        self._launch: Launch | None = None
        self._carries: list[PyTree] = []
        self._last_state: Any = None
        self._cache: dict[Any, Any] = {}
        self._problems: list[str] = []

    def __getstate__(self) -> dict[str, Any]:
        last_state = self.last_state
        return {**self.__dict__, "_launch": None, "_carries": [], "_last_state": last_state, "_cache": {}}

    def _check_chain_method(self) -> None:
        method = self.chain_method
        if not callable(method) and method not in CHAIN_METHODS:
            raise ValueError(f"MCMC: chain_method must be one of {list(CHAIN_METHODS)} or a function, found {method!r}")
        if callable(method) and self.num_chains > 1 and self.progress_bar:
            warnings.warn(
                "MCMC: no progress bar with a callable chain_method, since all of the run is one call; pass progress_bar=False",
                stacklevel=find_stack_level(),
            )
            self.progress_bar = False

    # Running

    def run(
        self,
        rng_key: Key,
        *args: Any,
        extra_fields: Sequence[str] = (),
        init_params: PyTree = None,
        **kwargs: Any,
    ) -> None:
        """Warm up, unless there is a `post_warmup_state`, and draw.

        Args:
            rng_key: a random key, an integer seed, or an array of `num_chains` keys.
            *args: positional arguments of the model.
            extra_fields: names of fields of the state to collect, with dots into it (`"adapt_state.step_size"`); `"~z.name"` drops
                a site from the samples.
            init_params: unconstrained start values of some or all sites, one set or one for each chain (a leading axis).
            **kwargs: keyword arguments of the model.

        Raises:
            RuntimeError: if no start with finite density is found, with the sites that are to blame.
            ValueError: if an argument does not fit.
        """
        resumed = self.post_warmup_state
        num_warmup = 0 if resumed is not None else self.num_warmup
        thinning = Thinning.of(num_warmup, self.num_samples, self.thinning)
        self._execute(rng_key, args, kwargs, extra_fields, init_params, num_warmup, self.num_samples, thinning, resumed)

    def warmup(
        self,
        rng_key: Key,
        *args: Any,
        extra_fields: Sequence[str] = (),
        collect_warmup: bool = False,
        init_params: PyTree = None,
        **kwargs: Any,
    ) -> None:
        """Adapt only; the next `run` starts from there.

        Args:
            rng_key: as in `run`.
            *args: positional arguments of the model.
            extra_fields: as in `run`.
            collect_warmup: make the warm-up draws available by `get_samples`, until the next run.
            init_params: as in `run`.
            **kwargs: keyword arguments of the model.
        """
        step = self.thinning if collect_warmup else 0
        thinning = Thinning.of(0, self.num_warmup, step)
        self._execute(rng_key, args, kwargs, extra_fields, init_params, self.num_warmup, 0, thinning, None)
        if not collect_warmup:
            self._results = None
        self.post_warmup_state = self.last_state

    def _compile(
        self, rng_key: Key, *args: Any, extra_fields: Sequence[str] = (), init_params: PyTree = None, **kwargs: Any
    ) -> None:
        """Compile the programs of a run without sampling."""
        keys = self._keys(rng_key)
        launch, _ = self._bind(args, kwargs, extra_fields, init_params, self.num_warmup)
        self._prepare(launch, keys, extra_fields)

    def _keys(self, rng_key: Any) -> Key:
        if isinstance(rng_key, jax.Array):
            rank = rng_key.ndim - (0 if is_typed(rng_key) else 1)
            if rank == 1:
                if rng_key.shape[0] != self.num_chains:
                    raise ValueError(
                        f"MCMC.run: found an array of {rng_key.shape[0]} keys for num_chains={self.num_chains}; pass one key, or "
                        "one for each chain"
                    )
                return rng_key if self.num_chains > 1 else rng_key[0]
        return as_key(rng_key, name="MCMC.run: rng_key")

    def _bind(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], extra_fields: Any, init_params: PyTree, num_warmup: int
    ) -> tuple[Launch, tuple[str, ...]]:
        """The launch, and the names of the extra fields that are no part of the sample field."""
        self._check_chain_method()
        if isinstance(extra_fields, str) or not isinstance(extra_fields, tuple | list):
            raise ValueError(f"MCMC: extra_fields must be a list or tuple of names, found {extra_fields!r}")
        if not all(isinstance(name, str) for name in extra_fields):
            raise TypeError(f"MCMC: extra_fields must hold strings, found {extra_fields!r}")
        if self._jit_model_args:
            _check_arrays(args, kwargs)
        if self.sampler.is_ensemble_kernel and self.num_chains > 1 and self.chain_method != "vectorized":
            raise AssertionError(
                f'MCMC: {type(self.sampler).__name__} moves all chains together: it needs chain_method="vectorized", found '
                f"{self.chain_method!r}"
            )
        own = self.sampler.sample_field
        fields = tuple(name for name in extra_fields if not name.startswith("~") and name.split(".")[0] != own)
        launch = self.sampler.launch(
            args,
            kwargs,
            fields=fields,
            init_params=init_params,
            num_chains=self.num_chains,
            num_warmup=num_warmup,
            cache=self._cache,
        )
        return launch, fields

    def _prepare(self, launch: Launch, keys: Key, extra_fields: Sequence[str]) -> PyTree:
        """Have the compiler work on all programs at a time, while the later ones are traced.

        Returns:
            Shapes and types of a carry; None where they are not known before the start.

        Raises:
            ValueError: if a site to be dropped is not there.
        """
        started = carry = launch.prepare(keys)
        if carry is None or callable(self.chain_method):
            return started
        row = self._row(launch, carry)[launch.sample_field]
        dropped = [name for name in extra_fields if name.startswith("~")]
        shape = jax.eval_shape(self._finish(launch), row, launch.inputs) if dropped else None
        for name in dropped:
            shape = without_site(shape, name, launch.sample_field)
        process: Any = launch.process
        if self._is_vectorized():
            process = vectorized(process)
            carry = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((self.num_chains, *leaf.shape), leaf.dtype), carry)
        prepare_advance(launch.programs, process, carry, launch.inputs)
        prepare_finish(launch.programs, self._finish_name(), self._finish(launch), row, launch.inputs)
        return started

    def _row(self, launch: Launch, carry: PyTree) -> dict[str, Any]:
        """Shapes and types of what is read of one chain in an iteration."""
        row = jax.eval_shape(launch.process.read, carry)
        if not self.sampler.is_ensemble_kernel:
            return row
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), row)

    def _is_vectorized(self) -> bool:
        return self.num_chains > 1 and self.chain_method == "vectorized" and not self.sampler.is_ensemble_kernel

    def _finish(self, launch: Launch) -> Callable[[Any, PyTree], PyTree]:
        if self.postprocess_fn is None:
            return launch.finish
        postprocess_fn = self.postprocess_fn
        return lambda row, inputs: postprocess_fn(launch.unravel(row))

    def _finish_name(self) -> tuple[Any, ...]:
        return ("finish", self.postprocess_fn)

    def _execute(
        self,
        rng_key: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        extra_fields: Sequence[str],
        init_params: PyTree,
        num_warmup: int,
        num_samples: int,
        thinning: Thinning,
        resumed: Any,
    ) -> None:
        keys = self._keys(rng_key)
        launch, fields = self._bind(args, kwargs, extra_fields, init_params, num_warmup)
        before = self._launch if resumed is not None and resumed is self._last_state else None
        self._launch, self._last_state, self._results = launch, None, None
        if is_traced(keys, launch.inputs, init_params, resumed) or callable(self.chain_method):
            carries = self._start(launch, resumed, before, keys, None)
            rows, samples = self._run_as_one(launch, keys, carries, init_params, num_warmup + num_samples, thinning)
            interrupted = False
        else:
            expected = self._prepare(launch, keys, extra_fields)
            carries = self._start(launch, resumed, before, keys, expected)
            draws = self._room(launch, carries[0], extra_fields, thinning.kept) if thinning.step else None
            execution = self._run_chains(launch, carries, num_warmup + num_samples, num_warmup, thinning, draws)
            self._carries, interrupted = execution.carries, execution.interrupted
            rows, samples = ({}, {}) if draws is None else draws.collected()
            self._report_problems(launch)
        if thinning.step:
            self._results = Results.of(launch, rows, samples, self.sampler.default_fields, extra_fields, interrupted)

    def _start(self, launch: Launch, resumed: Any, before: Launch | None, keys: Key, expected: PyTree) -> list[PyTree]:
        """The carries of the chains: fresh ones, or those of a public state, which comes from the run before, with new keys.

        `expected` has the shapes of a carry, where they are known.
        """
        if resumed is None:
            return launch.start(keys, self.num_chains)
        is_one = self.num_chains == 1 or self.sampler.is_ensemble_kernel
        if not is_one:
            _check_batch(resumed, self.num_chains)
        if expected is not None:
            _check_state(resumed, jax.eval_shape(launch.public, expected), () if is_one else (self.num_chains,))
        try:
            carry = launch.carry_of(resumed, before)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(_no_state(resumed)) from error
        carries = [carry] if is_one else unstack_carry(carry, self.num_chains)
        return [launch.with_key(carry, keys, i) for i, carry in enumerate(carries)]

    def _room(self, launch: Launch, carry: PyTree, extra_fields: Sequence[str], capacity: int) -> Draws:
        """Room for what the chains will draw: finished draws, and rows of all fields but theirs, unless that is wanted too."""
        row, own = self._row(launch, carry), launch.sample_field
        is_raw_wanted = any(name.split(".")[0] == own for name in extra_fields)
        kept = {name: shape for name, shape in row.items() if name != own or is_raw_wanted}
        programs = launch.programs
        name, batch, result = prepare_finish(programs, self._finish_name(), self._finish(launch), row[own], launch.inputs)
        finish = Finish(programs.get(name), launch.inputs, own, batch, row[own], result)
        return Draws(self.num_chains, capacity, kept, finish)

    def _run_chains(
        self, launch: Launch, carries: list[PyTree], total: int, num_warmup: int, thinning: Thinning, draws: Draws | None
    ) -> Execution:
        process: Any = launch.process
        is_batch = self._is_vectorized() or self.sampler.is_ensemble_kernel
        if self._is_vectorized():
            process, carries = vectorized(process), [stack_carries(carries)]
        monitor = self._monitor(launch, len(carries), total, num_warmup, is_batch)
        plan = Plan(
            total=total,
            thinning=thinning,
            max_chunk=max(1, self.progress_rate or -(-total // 20)) if isinstance(monitor, Bars) else max(total, 1),
            threads=self.num_chains if self.chain_method == "parallel" else 1,
            is_batch=is_batch,
        )
        return execute(launch.programs, process, carries, launch.inputs, plan, draws, monitor)

    def _monitor(self, launch: Launch, num_bars: int, total: int, num_warmup: int, is_batch: bool) -> Monitor:
        if not self.progress_bar or total == 0:
            return Silent()

        def describe(carry: PyTree) -> str:
            return self.sampler.get_diagnostics_str(launch.public(carry))

        return Bars(num_bars, total, num_warmup, describe, _summarize_live, launch.sample_field, launch.expand, is_batch)

    def _run_as_one(
        self, launch: Launch, keys: Key, carries: list[PyTree], init_params: PyTree, total: int, thinning: Thinning
    ) -> tuple[dict[str, Any], PyTree]:
        """The run as one computation, mapped over chains by the chain method: inside other programs, and by a user's function."""

        def one_chain(rng_key: Key, carry: PyTree, init_params: PyTree) -> tuple[dict[str, Any], PyTree]:
            carry, rows = collect_all(launch.process, carry, launch.inputs, total, thinning)
            return rows, carry

        if len(carries) == 1:
            rows, carry = one_chain(keys, jax.tree.map(jnp.asarray, carries[0]), None)
            holds_all = self.sampler.is_ensemble_kernel
            rows = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0) if holds_all else x[None], rows)
            self._carries = [carry]
        else:
            stacked = jax.tree.map(jnp.asarray, stack_carries(carries))
            chain_keys = jnp.stack([key_of_chain(keys, i) for i in range(self.num_chains)])
            if callable(self.chain_method):
                rows, carry = self.chain_method(one_chain)(chain_keys, stacked, init_params)
            elif self.chain_method == "sequential":
                rows, carry = lax.map(lambda pair: one_chain(pair[0], pair[1], None), (chain_keys, stacked))
            else:
                rows, carry = jax.vmap(lambda key, carry: one_chain(key, carry, None))(chain_keys, stacked)
            self._carries = unstack_carry(carry, self.num_chains)
        if not thinning.step:
            return {}, None
        finish = self._finish(launch)
        return rows, jax.vmap(jax.vmap(lambda row: finish(row, launch.inputs)))(rows[launch.sample_field])

    def _report_problems(self, launch: Launch) -> None:
        self._problems = launch.problems(self._carries)
        for problem in self._problems:
            warnings.warn(f"MCMC: an energy was not a number during sampling: {problem}", stacklevel=find_stack_level())

    # What users read

    def _need_results(self) -> Results:
        if self._results is None:
            raise ValueError("MCMC: there are no samples yet; call `run` first")
        return self._results

    def get_samples(self, group_by_chain: bool = False, *, infer_discrete: bool = False) -> PyTree:
        """The draws: constrained values of the latent sites, and deterministic sites.

        Args:
            group_by_chain: leaves are `(num_chains, n, ...)` instead of `(num_chains * n, ...)`, one chain after another.
            infer_discrete: with the discrete sites that were summed out, drawn from their joint posterior given each draw: those
                from which deterministic sites were computed.

        Raises:
            ValueError: before `run`; with `infer_discrete`, if no site was summed out.
        """
        results = self._need_results()
        if not infer_discrete:
            return results.get(results.samples, group_by_chain)
        if results.discrete is None:
            results.discrete = self._discrete(results)
        return results.get({**results.samples, **results.discrete}, group_by_chain)

    def _discrete(self, results: Results) -> dict[str, Any]:
        """Draws of the sites that were summed out."""
        if self._launch is None or self.postprocess_fn is not None:
            raise ValueError(
                "MCMC.get_samples: infer_discrete=True works where the kernel ran, and without postprocess_fn; otherwise use "
                "Predictive(model, samples, infer_discrete=True)"
            )
        return self._launch.discrete(results.samples)

    def get_extra_fields(self, group_by_chain: bool = False) -> dict[str, PyTree]:
        """The collected fields of the state, among them the kernel's default fields such as `diverging`.

        Args:
            group_by_chain: as in `get_samples`.

        Raises:
            ValueError: before `run`.
        """
        results = self._need_results()
        return results.get(results.extra(), group_by_chain)

    @property
    def last_state(self) -> Any:
        """The state after the last iteration, with a leading chain axis for several chains; None before a run."""
        if self._last_state is None and self._launch is not None and self._carries:
            carry = self._carries[0] if len(self._carries) == 1 else stack_carries(self._carries)
            self._last_state = jax.device_put(self._launch.public(carry))
        return self._last_state

    def print_summary(self, prob: float = 0.9, exclude_deterministic: bool = True) -> None:
        """Print the table of `ppl.diagnostics.summary`, and below it in words what is wrong with the run, and what to do.

        Args:
            prob: mass of the intervals.
            exclude_deterministic: leave out deterministic sites.
        """
        results = self._need_results()
        samples = results.without_deterministic() if exclude_deterministic else results.samples
        if jax.tree.leaves(samples):
            print_summary(samples, prob=prob)
        for line in self.sampler.get_advice(results.fields):
            print(line)
        for problem in self._problems:
            print(f"An energy was not a number: {problem}")
        if results.interrupted:
            wanted, chains = self.num_samples // self.thinning, self.num_chains
            which = "each chain" if results.num_chains == chains else f"{results.num_chains} of {chains} chains"
            print(f"The run was interrupted: the summary is of the first {results.count} of {wanted} draws of {which}.")

    def to_inferencedata(self, **options: Any) -> Any:
        """The draws for ArviZ; options as `log_likelihood=True` are those of `ppl.infer.inferencedata.to_inferencedata`."""
        return inferencedata.to_inferencedata(self._need_results(), self._launch, **options)

    def to_datatree(self, **options: Any) -> Any:
        """The same as an `xarray.DataTree`."""
        return inferencedata.to_datatree(self._need_results(), self._launch, **options)

    def transfer_states_to_host(self) -> None:
        """Keep the draws as NumPy arrays in host memory."""
        if self._results is not None:
            self._results.keep_on_host()


def _check_state(state: Any, expected: Any, batch: tuple[int, ...]) -> None:
    """Raise a `ValueError` unless a state has the parts of an expected one, with their shapes behind those of the batch."""
    found, wanted = (dict(jax.tree_util.tree_leaves_with_path(tree)) for tree in (state, expected))
    if type(state) is not type(expected) or found.keys() != wanted.keys():
        raise ValueError(_no_state(state, f", which has {type(expected).__name__}s"))
    for path, leaf in found.items():
        shape = (*batch, *np.shape(wanted[path]))
        if np.shape(leaf) != shape and not is_typed(leaf):
            name = jax.tree_util.keystr(path).lstrip(".")
            raise ValueError(
                f"MCMC: post_warmup_state does not fit: its {name} has shape {np.shape(leaf)}, expected {shape}; a state continues "
                "a run of the same kernel and settings, with data of the same shapes and as many chains; else warm up again"
            )


def _no_state(state: Any, others: str = "") -> str:
    return (
        f"MCMC: post_warmup_state, of type {type(state).__name__}, is no state of this kernel on this model{others}; pass what "
        "post_warmup_state or last_state was after a run of it, or None to warm up again"
    )


def _check_batch(state: Any, num_chains: int) -> None:
    """Raise a `ValueError` unless all arrays of a state have a leading axis for so many chains."""
    for leaf in jax.tree.leaves(state):
        if np.shape(leaf)[:1] != (num_chains,):
            raise ValueError(
                f"MCMC: post_warmup_state is not one of {num_chains} chains: an array of it has shape {np.shape(leaf)}, expected a "
                f"leading axis of {num_chains}; warm up with num_chains={num_chains}"
            )


def _not_a_kernel(sampler: Any) -> str:
    if isinstance(sampler, type):
        return f"MCMC: expected a kernel such as NUTS(model), found the class {sampler.__name__}; pass {sampler.__name__}(model)"
    cure = "; wrap the model: MCMC(NUTS(model), ...)" if callable(sampler) else ""
    return f"MCMC: expected a kernel such as NUTS(model), found {sampler!r} of type {type(sampler).__name__}{cure}"


def _summarize_live(positions: np.ndarray) -> str:
    live = live_diagnostics(positions)
    return f"worst R-hat {live.r_hat:.3f}, smallest ESS {live.n_eff:.0f}"


def _check_arrays(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    for leaf in jax.tree.leaves((args, kwargs)):
        if not isinstance(leaf, jax.Array | np.ndarray | np.generic | float | int):
            raise TypeError(f"MCMC: jit_model_args=True takes arrays and pytrees of arrays, found {leaf!r}")
