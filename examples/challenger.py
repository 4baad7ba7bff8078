"""Challenger: how likely an O-ring was to fail at 31 degrees Fahrenheit.

On 23 flights before that of 28 January 1986 one noted whether O-rings of the rockets showed damage, and the temperature. A
logistic regression of so few data, on the temperature as it is and with wide priors, has a posterior that is skewed and almost a
line: intercept and slope are correlated by -0.997. BarkerMH finds its shape (`dense_mass`) and moves with one gradient for each
draw, and it does not mind to start far out.

Two parameters can be summed over on a grid, which tells what is right.

Data and model: Dalal, Fowlkes, Hoadley (1989), "Risk analysis of the space shuttle: pre-Challenger prediction of failure", JASA 84.
"""

import jax
import jax.numpy as jnp
import numpy as np
from _common import draw_band, moments, parser, plot, print_beside, run
from jax import Array

import ppl
import ppl.distributions as dist
from ppl.infer import NUTS, BarkerMH, init_to_value

TEMPERATURE = np.array([66, 70, 69, 68, 67, 72, 73, 70, 57, 63, 70, 78, 67, 53, 67, 75, 70, 81, 76, 79, 75, 76, 58], float)
DAMAGE = np.array([0, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1])


def model(temperature: Array, damage: Array) -> None:
    intercept = ppl.sample("intercept", dist.Normal(0.0, 20.0))
    slope = ppl.sample("slope", dist.Normal(0.0, 1.0))
    ppl.deterministic("risk", jax.nn.sigmoid(intercept + 31.0 * slope))
    with ppl.plate("flight", len(damage)):
        ppl.sample("damage", dist.Bernoulli(logits=intercept + slope * temperature), obs=damage)


def exact() -> dict[str, tuple[float, float]]:
    """Posterior moments by sums over a grid."""
    intercept, slope = np.meshgrid(np.linspace(-20.0, 70.0, 700), np.linspace(-1.0, 0.3, 700), indexing="ij")
    logits = intercept[..., None] + slope[..., None] * TEMPERATURE
    log_likelihood = np.sum(np.where(DAMAGE == 1, -np.logaddexp(0.0, -logits), -np.logaddexp(0.0, logits)), axis=-1)
    log_weight = log_likelihood - 0.5 * (intercept / 20.0) ** 2 - 0.5 * slope**2
    return moments(log_weight, intercept=intercept, slope=slope, risk=1.0 / (1.0 + np.exp(-intercept - 31.0 * slope)))


def main() -> None:
    options = parser("Barker's proposal on the damage of O-rings.", num_warmup=3000, num_samples=10_000)
    options.add_argument("--nuts", action="store_true", help="use NUTS instead")
    args = options.parse_args()

    start = init_to_value(values={"intercept": 60.0, "slope": 0.0})  # damage on every flight: far from the data
    make = NUTS if args.nuts else BarkerMH
    mcmc = run(args, make(model, dense_mass=True, init_strategy=start), TEMPERATURE, DAMAGE)
    mcmc.print_summary(exclude_deterministic=False)
    draws = mcmc.get_samples()
    print_beside(draws, exact(), "sums over a grid")

    def draw(risk, joint) -> None:
        degrees = np.linspace(30.0, 85.0, 100)
        chosen = slice(None, None, max(1, len(draws["slope"]) // 1000))
        logits = draws["intercept"][chosen, None] + draws["slope"][chosen, None] * degrees
        draw_band(risk, degrees, np.asarray(jax.nn.sigmoid(logits)), "risk, 90 % band")
        risk.plot(TEMPERATURE, DAMAGE, "k|", label="flights")
        risk.axvline(31.0, color="0.7", linestyle=":")
        risk.set(xlabel="temperature in degrees Fahrenheit", ylabel="probability of damage", title="O-rings")
        risk.legend()
        joint.scatter(draws["intercept"][chosen], draws["slope"][chosen], s=4, alpha=0.4)
        correlation = jnp.corrcoef(draws["intercept"], draws["slope"])[0, 1]
        joint.set(xlabel="intercept", ylabel="slope", title=f"correlation {correlation:.3f}")

    plot(args, draw, columns=2)


if __name__ == "__main__":
    main()
