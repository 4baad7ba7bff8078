"""How fit are the patients? Their true classes from the labels of five anaesthetists who do not always agree.

Each of 45 patients has a true class from 1 (fit) to 4, which nobody knows. Five anaesthetists read the same notes and gave a
class, the first of them three times over. Each confuses classes in a way of their own. The true classes are discrete latent sites
that NUTS sums out; afterwards they are drawn from their posterior, which weighs each label by what its observer is worth.

Data and model: Dawid, Skene (1979), "Maximum likelihood estimation of observer error-rates using the EM algorithm", Applied
Statistics 28(1), table 1, here with priors. Their estimates of the shares of the classes are printed beside the posterior.
"""

import jax.numpy as jnp
import numpy as np
from _common import parser, plot, run
from jax import Array

import ppl
import ppl.distributions as dist
from ppl.infer import NUTS
from ppl.ops.indexing import Vindex

CLASSES, OBSERVERS = 4, 5
OBSERVER = np.array([0, 0, 0, 1, 2, 3, 4])  # of each column of the labels
LABELS = """
    1111111 3334334 1122122 2223121 2223222 2223322 1222111 3333433 2222223 2322223 4444444 2223343 1111111 2223212 1211111
    1112111 1111111 1111111 2222221 2221322 2222222 2222221 2223222 2212222 1111111 1111111 2322222 1111111 1111111 1121121
    1111111 3333233 1111111 2222222 2223232 4334343 2212232 2323233 3333432 1111111 1111111 1212111 2322222 1211111 2222222
"""
MAXIMUM_LIKELIHOOD = (0.40, 0.42, 0.11, 0.07)


def model(label: Array, observer: Array) -> None:
    """Labels `(patients, columns)`, counted from 0, and the observer of each column."""
    prevalence = ppl.sample("prevalence", dist.Dirichlet(jnp.ones(CLASSES)))
    # Labels are taken to be right more often than not, or the classes could change their names.
    prior = jnp.ones((CLASSES, CLASSES)) + 2.0 * jnp.eye(CLASSES)
    with ppl.plate("observer", OBSERVERS):
        confusion = ppl.sample("confusion", dist.Dirichlet(prior).to_event(1))  # of a truth (row), the labels
    with ppl.plate("patient", label.shape[0], dim=-2):
        truth = ppl.sample("truth", dist.Categorical(prevalence), infer={"enumerate": "parallel"})
        with ppl.plate("reading", label.shape[1], dim=-1):
            ppl.sample("label", dist.Categorical(Vindex(confusion)[observer, truth, :]), obs=label)


def read_labels() -> np.ndarray:
    """The labels `(patients, columns)`, counted from 0."""
    return np.array([[int(digit) - 1 for digit in row] for row in LABELS.split()])


def main() -> None:
    args = parser("NUTS on the labels of fallible observers.", num_warmup=500, num_samples=500, num_chains=2).parse_args()
    label = read_labels()
    mcmc = run(args, NUTS(model), label, OBSERVER)
    draws = mcmc.get_samples()

    print("Share of each class, posterior mean and standard deviation, and by maximum likelihood:")
    prevalence = np.asarray(draws["prevalence"])
    for k, estimate in enumerate(MAXIMUM_LIKELIHOOD):
        print(f"    class {k + 1}: {prevalence[:, k].mean():.2f} +- {prevalence[:, k].std():.2f}   {estimate:.2f}")
    confusion = np.asarray(draws["confusion"]).mean(axis=0)
    print("Probability of a right label for a patient of class 1, 2, 3, 4:")
    for observer, right in enumerate(np.diagonal(confusion, axis1=1, axis2=2)):
        print(f"    observer {observer + 1}: " + "  ".join(f"{probability:.2f}" for probability in right))

    classes = np.asarray(mcmc.get_samples(infer_discrete=True)["truth"])[..., 0]
    probability = np.stack([np.mean(classes == k, axis=0) for k in range(CLASSES)], axis=1)
    unsure = np.nonzero(probability.max(axis=1) < 0.9)[0]
    print("Patients whose class has a probability below 90 %:")
    for patient in unsure:
        shares = "  ".join(f"{share:.2f}" for share in probability[patient])
        print(f"    {patient + 1:>2}, labels {''.join(str(k + 1) for k in label[patient])}: {shares}")

    def draw(observers, patients) -> None:
        observers.imshow(confusion.reshape(-1, CLASSES), aspect="auto", vmin=0, vmax=1)
        observers.set(xlabel="label", ylabel="observer", yticks=CLASSES * np.arange(OBSERVERS) + 1.5)
        observers.set_yticklabels(range(1, OBSERVERS + 1))
        observers.set_xticks(range(CLASSES), range(1, CLASSES + 1))
        observers.set_title("labels given to each class, top to bottom")
        chosen = probability.argmax(axis=1)
        order = np.lexsort((probability.max(axis=1), chosen))
        patients.imshow(probability[order], aspect="auto", vmin=0, vmax=1, interpolation="nearest")
        patients.set(xlabel="class", ylabel="patient", title="probability of the class of each patient")
        patients.set_xticks(range(CLASSES), range(1, CLASSES + 1))
        patients.set_yticks(range(len(order)), order + 1, fontsize=4)

    plot(args, draw, columns=2)


if __name__ == "__main__":
    main()
