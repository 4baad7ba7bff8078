"""Which discrete sites of a model its data tell something of, so that they cannot be drawn given their parents alone."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ppl import handlers
from ppl._typing import Array, Message, Trace
from ppl.handlers.enumeration import is_enumerable, is_marked, without_support
from ppl.infer.target.dependence import dependences, identity_of
from ppl.trace import latent_sites, sample_sites, site_log_prob

__all__ = ["enumerated_given_data"]


def enumerated_given_data(run: Callable[[], Any], given: Callable[[Message], Any]) -> frozenset[str]:
    """The unmarked discrete latent sites that must be enumerated, for values of other sites or data depend on them.

    A site on which nothing that is known depends, such as data that are to be predicted, is drawn given its parents.

    Args:
        run: the model, with its arguments.
        given: the value of a site, or None.

    Raises:
        NotImplementedError: if such a site cannot be enumerated.
    """

    def trace(values: dict[str, Array]) -> Trace:
        with handlers.trace() as sites, handlers.seed(rng_seed=0):
            with handlers.substitute(substitute_fn=given), handlers.substitute(data=values):
                run()
        return sites

    def is_known(site: Message) -> bool:
        return site["is_observed"] or given(site) is not None

    found: dict[str, Any] = {}

    def collect() -> None:
        for name, site in latent_sites(trace({})).items():
            if site["fn"].is_discrete and not is_marked(site) and not is_known(site):
                found[name] = jax.ShapeDtypeStruct(jnp.shape(site["value"]), jnp.result_type(site["value"])), site

    jax.eval_shape(collect)
    needed = set()
    for name, (shape, site) in found.items():

        def densities(value: Array, name: str = name) -> list[Array]:
            return [x for site in sample_sites(trace({name: value})).values() if is_known(site) for x in _depending(site)]

        dependence = dependences(jax.make_jaxpr(densities)(shape), [identity_of(shape.shape)])
        if all(along is None for along in dependence):
            continue
        hint = site["infer"].get("enumerate") or "parallel"
        if hint != "parallel" or not is_enumerable(site):
            why = without_support(site["fn"]) if hint == "parallel" else f"has infer={{'enumerate': {hint!r}}}, not 'parallel'"
            raise NotImplementedError(
                f"Predictive(infer_discrete=True): site {name!r} {why}; so it cannot be drawn from its posterior, though data or "
                "samples depend on it: give samples of it, or leave infer_discrete out to draw it given its parents alone"
            )
        needed.add(name)
    return frozenset(needed)


def _depending(site: Message) -> list[Array]:
    """What depends on all that the density of a site depends on; a series that is given for a part of its loop has no density."""
    if "_num_given" in site["infer"]:
        return [x for x in jax.tree.leaves(site["fn"]) if isinstance(x, jax.Array)]
    return [site_log_prob(site)]
