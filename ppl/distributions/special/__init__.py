"""Special functions that JAX lacks, or that lose their accuracy in the tails of its versions."""

from ppl.distributions.special.bessel import log_i0e
from ppl.distributions.special.beta import (
    beta_logit_quantile,
    betainc,
    betaincinv,
    log_betainc_pair,
    student_t_log_cdf,
    student_t_log_cdf_inverse,
    student_t_log_norm,
)
from ppl.distributions.special.gamma import (
    gamma_log_quantile,
    gammainc,
    gammaincinv,
    log_beta,
    log_gamma_half_step,
    log_gamma_kernel,
    log_gamma_peak,
    log_gammainc_pair,
    stirling_remainder,
)
from ppl.distributions.special.normal import (
    inverse_mills,
    log_ndtr,
    log_ndtr_inverse,
    quick_log_ndtr_inverse,
    quick_ndtr_factors,
)
from ppl.distributions.special.quadrature import (
    cauchy_interval_moments,
    gamma_interval_log_mass,
    gamma_interval_moments,
    normal_interval_moments,
)
