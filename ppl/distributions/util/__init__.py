"""Numerics and bookkeeping shared by constraints, transforms and distributions."""

from ppl.distributions.special import betainc, betaincinv, gammaincinv
from ppl.distributions.util.concrete import (
    TracedSupport,
    Tracer,
    array_equiv,
    as_operand,
    as_parameter,
    assert_one_of,
    float_dtype,
    is_concrete,
    is_identically_one,
    is_identically_zero,
    is_prng_key,
    reshaped,
)
from ppl.distributions.util.decorators import factory, lazy_property, validate_key, validate_sample
from ppl.distributions.util.functions import (
    binary_cross_entropy_with_logits,
    clamp_probs,
    log1mexp,
    logdiffexp,
    logmatmulexp,
    multidigamma,
    safe_normalize,
    softplus,
    stirling_approx_tail,
)
from ppl.distributions.util.matrices import (
    add_diag,
    cholesky_of_inverse,
    cholesky_update,
    matrix_to_tril_vec,
    signed_stick_breaking_tril,
    solve_rows,
    solve_vectors,
    tri_logabsdet,
    tril_dim,
    vec_to_tril_matrix,
)
from ppl.distributions.util.samplers import binomial, categorical, multinomial, von_mises_centered
from ppl.distributions.util.shapes import (
    all_rightmost,
    batch_shape_of,
    cumulative_sum,
    periodic_repeat,
    promote_shapes,
    scale_and_mask,
    shape_of,
    square_dim,
    sum_rightmost,
)
