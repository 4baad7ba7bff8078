"""What the examples share: options of the command line, running, saving draws, plotting."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jax import random

from ppl.infer import MCMC
from ppl.infer.mcmc import MCMCKernel


def parser(description: str, *, num_warmup: int = 1000, num_samples: int = 1000, num_chains: int = 4) -> argparse.ArgumentParser:
    """The options that every example has, with these defaults."""
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    options.add_argument("--num-chains", type=int, default=num_chains, metavar="N", help="number of chains")
    options.add_argument("--num-warmup", type=int, default=num_warmup, metavar="N", help="iterations of adaptation")
    options.add_argument("--num-samples", type=int, default=num_samples, metavar="N", help="draws of each chain")
    options.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all random numbers")
    options.add_argument("--save", type=Path, metavar="FILE", help="write the draws, grouped by chain, to this .npz file")
    options.add_argument("--plot", type=_figure_file, metavar="FILE", help="draw figures into this file (needs matplotlib)")
    return options


def _figure_file(name: str) -> Path:
    if find_spec("matplotlib") is None:
        raise argparse.ArgumentTypeError("drawing needs matplotlib: pip install matplotlib")
    return Path(name)


def run(
    args: argparse.Namespace,
    kernel: MCMCKernel,
    *data: Any,
    drop: Sequence[str] = (),
    extra_fields: Sequence[str] = (),
    **options: Any,
) -> MCMC:
    """Run the chains that the options ask for, and save the draws where that is asked for.

    Args:
        args: the options.
        kernel: the kernel.
        *data: arguments of the model.
        drop: sites that are of no interest and are not kept.
        extra_fields: of the state, to be collected.
        **options: of `MCMC`, in place of those of the command line.
    """
    given = dict(num_warmup=args.num_warmup, num_samples=args.num_samples, num_chains=args.num_chains)
    mcmc = MCMC(kernel, **{**given, **options})
    mcmc.run(random.key(args.seed), *data, extra_fields=[*extra_fields, *(f"~z.{site}" for site in drop)])
    if args.save is not None:
        np.savez(args.save, **mcmc.get_samples(group_by_chain=True))
        print(f"draws saved to {args.save}")
    return mcmc


def moments(log_weight: Any, **values: Any) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation of values on a grid whose points have these log weights."""
    weight = np.exp(log_weight - np.max(log_weight))
    weight /= weight.sum()
    found = {}
    for name, value in values.items():
        mean = np.sum(weight * value)
        found[name] = (float(mean), float(np.sqrt(np.sum(weight * (value - mean) ** 2))))
    return found


def print_beside(draws: Mapping[str, Any], right: Mapping[str, tuple[float, float]], source: str) -> None:
    """Mean and standard deviation of draws, and beside them those of another source, such as a sum over a grid."""
    print(f"\n{'':>14} {'draws':>18} {source:>18}")
    for name, (mean, std) in right.items():
        print(f"{name:>14} {np.mean(draws[name]):8.3f} +- {np.std(draws[name]):6.3f} {mean:8.3f} +- {std:6.3f}")


def plot(args: argparse.Namespace, draw: Callable[..., None], columns: int = 1) -> None:
    """Draw a figure into the file that `--plot` names, if it names one: `draw` gets that many axes."""
    if args.plot is None:
        return
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0 * columns, 4.5), layout="constrained")
    draw(*figure.subplots(1, columns, squeeze=False)[0])
    figure.savefig(args.plot, dpi=120)
    print(f"figure saved to {args.plot}")


def draw_intervals(axes: Any, center: Any, draws: Any, **style: Any) -> None:
    """Mean and central 90 % interval of draws `(n, k)`, a vertical line at each of the `k` values of `center`."""
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    mean = np.mean(draws, axis=0)
    axes.errorbar(center, mean, yerr=[mean - low, high - mean], fmt="o", capsize=2, **style)


def draw_band(axes: Any, x: Any, draws: Any, label: str, **style: Any) -> None:
    """Mean and central 90 % band of draws `(n, k)` of a curve at `k` points."""
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    (line,) = axes.plot(x, np.mean(draws, axis=0), label=label, **style)
    axes.fill_between(x, low, high, alpha=0.25, color=line.get_color())
