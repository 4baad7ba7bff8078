"""Crowd labels: the true classes of items from the labels of fallible annotators.

Each item has a true class, which nobody saw; each annotator confuses classes in a way of their own, and labels a part of the items.
The true classes are discrete latent sites that NUTS sums out. Afterwards they are drawn from their posterior, which weighs each
label by what its annotator is worth, and so does better than the vote of the majority.

The labels are simulated: some annotators are careful, some take neighbouring classes for one another, some guess.

Model: Dawid, Skene (1979), "Maximum likelihood estimation of observer error-rates using the EM algorithm", with priors.
"""

import jax.numpy as jnp
import numpy as np
from _common import parser, plot, run
from jax import Array

import ppl
import ppl.distributions as dist
from ppl import handlers
from ppl.infer import NUTS
from ppl.ops.indexing import Vindex

CLASSES = 4
KINDS = ("careful", "blurred", "guessing")


def model(label: Array, given: Array) -> None:
    """Labels and whether they were given, `(items, annotators)`."""
    items, annotators = label.shape
    prevalence = ppl.sample("prevalence", dist.Dirichlet(jnp.ones(CLASSES)))
    # Labels are taken to be right more often than not, or the classes could change their names.
    prior = jnp.ones((CLASSES, CLASSES)) + 2.0 * jnp.eye(CLASSES)
    annotator_plate = ppl.plate("annotator", annotators, dim=-1)
    with annotator_plate:
        confusion = ppl.sample("confusion", dist.Dirichlet(prior).to_event(1))  # of a truth (row), the labels
    with ppl.plate("item", items, dim=-2):
        truth = ppl.sample("truth", dist.Categorical(prevalence), infer={"enumerate": "parallel"})
        with annotator_plate as annotator, handlers.mask(mask=given):
            ppl.sample("label", dist.Categorical(Vindex(confusion)[annotator, truth, :]), obs=label)


def simulate(seed: int, items: int, annotators: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, whether they were given, and the truth; annotators are of the three kinds in turn."""
    rng = np.random.default_rng(seed)
    neighbours = np.abs(np.subtract.outer(np.arange(CLASSES), np.arange(CLASSES))) == 1
    kinds = np.stack([0.88 * np.eye(CLASSES) + 0.03, 0.5 * np.eye(CLASSES) + 0.4 * neighbours + 0.02, np.ones((CLASSES, CLASSES))])
    chance = (kinds / kinds.sum(axis=-1, keepdims=True))[np.arange(annotators) % len(KINDS)]
    truth = rng.choice(CLASSES, items, p=[0.4, 0.3, 0.2, 0.1])
    label = [[rng.choice(CLASSES, p=chance[a, t]) for a in range(annotators)] for t in truth]
    return np.array(label), rng.random((items, annotators)) < 0.6, truth


def votes(label: np.ndarray, given: np.ndarray) -> np.ndarray:
    """The class that most annotators gave to each item, the first of them where several did."""
    return np.argmax([np.sum((label == k) & given, axis=1) for k in range(CLASSES)], axis=0)


def main() -> None:
    options = parser("NUTS on the labels of fallible annotators.", num_warmup=500, num_samples=500, num_chains=2)
    options.add_argument("--items", type=int, default=150, metavar="N", help="number of items")
    options.add_argument("--annotators", type=int, default=9, metavar="N", help="number of annotators")
    args = options.parse_args()
    label, given, truth = simulate(args.seed, args.items, args.annotators)

    mcmc = run(args, NUTS(model), label, given)
    draws = mcmc.get_samples()
    right = np.diagonal(np.asarray(draws["confusion"]).mean(axis=0), axis1=1, axis2=2).mean(axis=1)
    print("Probability of a right label, averaged over classes:")
    for annotator, probability in enumerate(right):
        print(f"    annotator {annotator} ({KINDS[annotator % len(KINDS)]:>8}): {probability:.2f}")

    classes = np.asarray(mcmc.get_samples(infer_discrete=True)["truth"])[..., 0]
    probability = np.stack([np.mean(classes == k, axis=0) for k in range(CLASSES)], axis=1)
    chosen, majority = probability.argmax(axis=1), votes(label, given)
    print(f"Items whose class is found: {np.mean(chosen == truth):.0%}, by majority {np.mean(majority == truth):.0%}")
    sure = probability.max(axis=1) > 0.95
    print(f"Of the {sure.sum()} items of a class with probability above 95 %: {np.mean(chosen[sure] == truth[sure]):.0%}")

    def draw(workers, items) -> None:
        workers.imshow(np.asarray(draws["confusion"]).mean(axis=0).reshape(-1, CLASSES), aspect="auto", vmin=0, vmax=1)
        workers.set(xlabel="label", ylabel="annotator", yticks=CLASSES * np.arange(len(right)) - 0.5, yticklabels=range(len(right)))
        workers.set(xticks=range(CLASSES), title="labels given to each class, top to bottom")
        order = np.lexsort((probability.max(axis=1), chosen))
        items.imshow(probability[order], aspect="auto", vmin=0, vmax=1, interpolation="nearest")
        items.plot(truth[order], np.arange(len(order)), "r.", markersize=3, label="true class")
        items.set(xlabel="class", ylabel="item", xticks=range(CLASSES), title="probability of the class of each item")
        items.legend()

    plot(args, draw, columns=2)


if __name__ == "__main__":
    main()
