"""Kernels bound to the arguments of a model."""

import jax.numpy as jnp
import numpy as np

import ppl
import ppl.distributions as dist
from ppl.infer import NUTS


def test_a_model_that_looks_at_its_data_gets_the_data_of_each_call():
    def model(y):
        size = int(y.max())
        mu = ppl.sample("mu", dist.Normal(jnp.zeros(size), 1.0).to_event(1))
        ppl.sample("y", dist.Normal(mu.sum(), 1.0), obs=y.sum())

    kernel = NUTS(model)

    def energy(y):
        binding, arrays = kernel.bind((y,), {}, None)
        target = binding.with_arrays(arrays)
        return binding, target(jnp.zeros(target.layout.dimension))

    first, at_first = energy(np.array([1.0, 2.0]))
    other, at_other = energy(np.array([1.5, 2.0]))
    again, at_again = energy(np.array([1.5, 2.0]))
    assert first is not other and other is again
    np.testing.assert_allclose(at_other - at_first, (3.5**2 - 3.0**2) / 2, rtol=1e-5)
    assert at_again == at_other
