"""Eight schools: the effect of coaching on test scores, by partial pooling.

Eight randomised experiments gave an estimated effect and its standard error each. The true effects are taken to come from a
normal population of unknown mean and spread, so that each school borrows strength from the others.

Data and model: Rubin (1981), "Estimation in parallel randomized experiments"; Gelman et al., "Bayesian Data Analysis", 5.5.
"""

import jax.numpy as jnp
import numpy as np
from _common import draw_intervals, parser, plot, run
from jax import Array, random

import ppl
import ppl.distributions as dist
from ppl.infer import NUTS, Predictive

EFFECT = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERROR = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


def non_centred(error: Array, effect: Array | None = None) -> None:
    """Effects as standard normal deviations from the population: easy to sample when the data say little."""
    mu = ppl.sample("mu", dist.Normal(0.0, 5.0))
    tau = ppl.sample("tau", dist.HalfCauchy(5.0))
    with ppl.plate("school", len(error)):
        deviation = ppl.sample("deviation", dist.Normal(0.0, 1.0))
        theta = ppl.deterministic("theta", mu + tau * deviation)
        ppl.sample("effect", dist.Normal(theta, error), obs=effect)


def centred(error: Array, effect: Array | None = None) -> None:
    """The same model as it is said: its posterior is a funnel, in which trajectories diverge."""
    mu = ppl.sample("mu", dist.Normal(0.0, 5.0))
    tau = ppl.sample("tau", dist.HalfCauchy(5.0))
    with ppl.plate("school", len(error)):
        theta = ppl.sample("theta", dist.Normal(mu, tau))
        ppl.sample("effect", dist.Normal(theta, error), obs=effect)


def main() -> None:
    options = parser("NUTS on the eight schools, with a check of the fitted model.")
    options.add_argument("--centred", action="store_true", help="use the centred form, and see what goes wrong")
    args = options.parse_args()
    model = centred if args.centred else non_centred

    mcmc = run(args, NUTS(model, target_accept_prob=0.9), ERROR, EFFECT)
    mcmc.print_summary(exclude_deterministic=False)

    draws = mcmc.get_samples()
    replicated = Predictive(model, draws)(random.key(args.seed + 1), ERROR)["effect"]
    print("Posterior predictive check: how often a statistic of replicated effects exceeds the one observed")
    for name, statistic in (("smallest", jnp.min), ("largest", jnp.max), ("mean", jnp.mean), ("spread", jnp.std)):
        p_value = jnp.mean(statistic(replicated, axis=1) > statistic(EFFECT))
        print(f"{name:>10}: {p_value:.2f}")

    def draw(schools, spread) -> None:
        places = np.arange(len(EFFECT))
        schools.errorbar(places - 0.12, EFFECT, yerr=1.645 * ERROR, fmt="s", capsize=2, label="observed", color="0.6")
        draw_intervals(schools, places + 0.12, draws["theta"], label="partially pooled")
        schools.set(xlabel="school", ylabel="effect", xticks=places, xticklabels="ABCDEFGH", title="90 % intervals")
        schools.legend()
        diverging = np.asarray(mcmc.get_extra_fields()["diverging"])
        for kind, color in ((False, "C0"), (True, "C3")):
            chosen = diverging == kind
            label = "divergent" if kind else "draws"
            spread.scatter(draws["theta"][chosen, 0], draws["tau"][chosen], s=4, alpha=0.4, color=color, label=label)
        spread.set(xlabel="effect in school A", ylabel="tau", yscale="log", title="the neck of the funnel")
        spread.legend()

    plot(args, draw, columns=2)


if __name__ == "__main__":
    main()
