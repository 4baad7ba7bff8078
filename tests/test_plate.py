import jax.numpy as jnp
import numpy as np
import pytest
from jax import jit, random

import ppl
from ppl import distributions as dist
from ppl import handlers, plate, sample
from ppl.primitives import CondIndepStackFrame

N = dist.Normal(0.0, 1.0)


def run(model, *args, seed=0):
    return handlers.trace(handlers.seed(model, seed)).get_trace(*args)


def observed(fn, value, *sizes, **kwargs):
    """The site of a value in nested plates of these sizes, dims from the right."""

    def model():
        with ppl.plate_stack("p", sizes):
            sample("x", fn, obs=value, **kwargs)

    return handlers.trace(model).get_trace()["x"]


@pytest.mark.parametrize(
    ("sizes", "fn", "sample_shape", "shape"),
    [
        ((3,), N, (), (3,)),
        ((2, 3), N, (), (2, 3)),
        ((2, 3), dist.Normal(np.zeros(3), 1.0), (), (2, 3)),
        ((2, 3), dist.Normal(np.zeros((2, 1)), 1.0), (), (2, 3)),
        ((3,), dist.Normal(np.zeros(4), 1.0).to_event(1), (), (3, 4)),
        ((3,), N, (3,), (3,)),
        ((3,), N, (5, 3), (5, 3)),
        ((2, 3), N, (2, 1), (2, 3)),
        ((3,), dist.Normal(np.zeros((5, 1)), 1.0), (), (5, 3)),
    ],
)
def test_plates_broadcast_the_distribution_and_absorb_sample_shape(sizes, fn, sample_shape, shape):
    def model():
        with ppl.plate_stack("p", sizes):
            return sample("x", fn, sample_shape=sample_shape)

    site = run(model)["x"]
    assert site["value"].shape == shape
    assert site["fn"].shape() == shape
    assert site["kwargs"]["sample_shape"] == ()


def test_elements_of_a_plate_are_independent_draws():
    with handlers.seed(rng_seed=0), plate("n", 4):
        assert len(np.unique(sample("x", N))) == 4


def test_frames_are_innermost_first_and_dims_are_allocated_leftwards():
    def model():
        with plate("a", 2), plate("b", 3), plate("c", 4, dim=-4), plate("d", 5):
            return sample("x", N)

    tr = run(model)
    frames = [("d", -3, 5), ("c", -4, 4), ("b", -2, 3), ("a", -1, 2)]
    assert tr["x"]["cond_indep_stack"] == [CondIndepStackFrame(*f) for f in frames]
    assert tr["x"]["value"].shape == (4, 5, 3, 2)
    assert tr["d"]["cond_indep_stack"] == [CondIndepStackFrame(*f) for f in frames[1:]]
    assert tr["b"]["args"] == (3, 3)
    assert tr["b"]["type"] == "plate"


def test_plate_stack_names_from_the_right():
    def model():
        with ppl.plate_stack("p", (2, 3), rightmost_dim=-2):
            return sample("x", N)

    site = run(model)["x"]
    assert site["value"].shape == (2, 3, 1)
    assert {f.name: (f.dim, f.size) for f in site["cond_indep_stack"]} == {"p_0": (-2, 3), "p_1": (-3, 2)}


def test_plates_are_reusable_and_can_be_constructed_outside():
    rows, columns = plate("rows", 2, dim=-2), plate("columns", 3, dim=-1)

    def model():
        with rows:
            a = sample("a", N)
            with columns:
                b = sample("b", dist.Normal(a, 1.0))
        with columns:
            c = sample("c", N)
        return a.shape, b.shape, c.shape

    assert handlers.seed(model, 0)() == ((2, 1), (2, 3), (3,))


def test_subsampling_draws_distinct_indices_and_scales():
    data = np.arange(100.0)

    def model():
        with plate("n", 100, subsample_size=10) as indices, plate("m", 8, subsample_size=2):
            batch = ppl.subsample(data, 0)
            ppl.deterministic("batch", batch)
            sample("x", dist.Normal(batch, 1.0), obs=batch)
            return indices

    tr = run(model)
    indices = np.asarray(tr["n"]["value"])
    assert len(set(indices.tolist())) == 10
    assert indices.min() >= 0
    assert indices.max() < 100
    assert tr["n"]["args"] == (100, 10)
    assert np.array_equal(tr["batch"]["value"], data[indices])
    assert tr["x"]["scale"] == 40.0
    assert not np.array_equal(indices, run(model, seed=1)["n"]["value"])
    assert np.array_equal(indices, run(model)["n"]["value"])


def test_every_index_is_drawn_equally_often():
    draws = np.concatenate([run(lambda: plate("n", 5, subsample_size=2), seed=s)["n"]["value"] for s in range(200)])
    counts = np.bincount(draws, minlength=5)
    # 400 draws, 80 expected each, sd about 8: five deviations, error rate below 1e-5
    assert np.abs(counts - 80).max() < 40


def test_substituted_indices_set_the_size():
    def model():
        with plate("n", 10, subsample_size=3) as indices:
            return indices, sample("x", N)

    with handlers.seed(rng_seed=0), handlers.substitute(data={"n": np.array([7, 1, 2])}):
        indices, x = model()
    assert indices.tolist() == [7, 1, 2]
    assert x.shape == (3,)
    with (
        handlers.seed(rng_seed=0),
        handlers.substitute(data={"n": np.array([7, 1])}),
        pytest.warns(UserWarning, match="'n': 2 indices were substituted where subsample_size is 3"),
    ):
        assert model()[1].shape == (2,)
    with pytest.raises(ValueError, match="vector of indices"), handlers.substitute(data={"n": np.zeros((2, 2), int)}):
        model()


def test_subsample_and_param_follow_every_plate():
    full = np.arange(24.0).reshape(4, 1, 6)

    def model():
        with plate("row", 4, subsample_size=2, dim=-3) as i, plate("column", 6, subsample_size=3, dim=-1) as j:
            return i, j, ppl.subsample(full, 0), ppl.param("p", full, event_dim=0), ppl.param("q", full)

    with handlers.trace() as tr, handlers.seed(rng_seed=0):
        i, j, x, p, q = model()
    assert np.array_equal(x, full[i][:, :, j])
    assert np.array_equal(p, x)
    assert np.array_equal(q, full)
    assert np.array_equal(tr["p"]["value"], full)
    assert tr["p"]["scale"] == 4.0


def test_event_dims_are_right_of_the_plate():
    with handlers.seed(rng_seed=0), plate("n", 4, subsample_size=2) as i:
        assert np.array_equal(ppl.subsample(np.eye(4), 1), np.eye(4)[i])
        assert ppl.subsample(np.ones((1, 3)), 1).shape == (1, 3)
        assert ppl.subsample(np.ones(3), 1).shape == (3,)


def test_block_plates_hides_a_site_from_a_plate():
    def model():
        with plate("a", 2), plate("b", 3):
            return sample("x", N, infer={"block_plates": {"b"}})

    site = run(model)["x"]
    assert site["value"].shape == (2,)
    assert [f.name for f in site["cond_indep_stack"]] == ["a"]


def test_plates_work_under_jit():
    @jit
    def draw(key):
        with handlers.seed(rng_seed=key), plate("n", 10, subsample_size=4) as i:
            return i, sample("x", N)

    i, x = draw(random.key(0))
    assert len(set(i.tolist())) == 4
    assert x.shape == (4,)


def constructed(first, second):
    with plate(*first, dim=-1), plate(*second, dim=-1):
        pass


def entered(first, second):
    with first, second:
        sample("x", N, obs=0.0)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: plate(3, 3), TypeError, ["plate", "name", "3"]),
        (lambda: plate("n", 0), ValueError, ["'n'", "positive", "0"]),
        (lambda: plate("n", -2), ValueError, ["'n'", "positive", "-2"]),
        (lambda: plate("n", 2.0), TypeError, ["'n'", "size", "integer", "2.0", "shape"]),
        (lambda: plate("n", None), TypeError, ["'n'", "size", "None"]),
        (lambda: plate("n", True), TypeError, ["'n'", "True"]),
        (lambda: plate("n", np.ones(3)), TypeError, ["'n'", "size"]),
        (lambda: jit(lambda n: plate("n", n).size)(3), TypeError, ["'n'", "static", "x.shape[0]"]),
        (lambda: plate("n", 3, subsample_size=4), ValueError, ["'n'", "subsample_size", "3", "4"]),
        (lambda: plate("n", 3, subsample_size=0), ValueError, ["'n'", "subsample_size", "0"]),
        (lambda: plate("n", 3, dim=0), ValueError, ["'n'", "negative", "-1"]),
        (lambda: plate("n", 3, dim=-1.0), TypeError, ["'n'", "dim"]),
        (lambda: plate("n", 3, subsample_size=2), ValueError, ["size 3", "subsample_size=2", "SVI or HMCECS"]),
        (
            lambda: constructed(("a", 2), ("b", 3)),
            ValueError,
            ["'b'", "dim -1", "'a'", "(size 2)"],
        ),
        (
            lambda: entered(plate("a", 2), plate("b", 3)),
            ValueError,
            ["'x'", "'a' (size 2)", "'b' (size 3)", "dim -1", "another dim"],
        ),
        (lambda: entered(plate("a", 2), plate("a", 2)), ValueError, ["'a'"]),
        (lambda: constructed(("a", 2), ("a", 2)), ValueError, ["'a'", "same name"]),
        (
            lambda: observed(dist.Normal(np.zeros(5), 1.0), np.zeros(5), 3),
            ValueError,
            ["'x'", "(5,)", "'p_0' (size 3, dim -1)", "found 5", ".to_event(1)"],
        ),
        (
            lambda: observed(N, np.zeros(5), 3),
            ValueError,
            ["'x'", "value of shape (5,)", "batch shape (3,)", "'p_0' (3)", ".to_event(1)"],
        ),
        (lambda: observed(N, np.zeros((3, 2)), 2, 3), ValueError, ["'x'", "(3, 2)", "(2, 3)", "'p_1' (2)", "'p_0' (3)"]),
        (lambda: observed(N, None, 3, sample_shape=(4,)), ValueError, ["'x'", "(4,)", "found 4"]),
        (
            lambda: observed(dist.Normal(np.zeros(2), 1.0).to_event(1), np.zeros((3, 4)), 3),
            ValueError,
            ["'x'", "(3, 4)", "event shape (2,)"],
        ),
    ],
)
def test_what_does_not_fit_is_named(call, error, words):
    with handlers.trace(), pytest.raises(error) as caught:
        call()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_full_data_under_subsampling_points_to_subsample():
    def model():
        with plate("n", 6, subsample_size=2):
            sample("x", N, obs=np.zeros(6))

    with pytest.raises(ValueError, match="ppl.subsample"):
        run(model)


@pytest.mark.parametrize("what", ["param", "subsample"])
def test_wrong_sizes_for_a_subsampling_plate_are_named(what):
    def model():
        with plate("n", 6, subsample_size=2):
            return ppl.param("p", np.ones(5), event_dim=0) if what == "param" else ppl.subsample(np.ones(5), 0)

    with pytest.raises(ValueError, match=r"plate 'n' \(size 6, dim -1\) invalid shape of " + what):
        run(model)


@pytest.mark.parametrize("value", [0.0, np.zeros(1), np.zeros(3), np.zeros((2, 3))])
def test_values_that_broadcast_are_accepted(value):
    site = observed(N, value, 3)
    assert site["fn"].log_prob(jnp.asarray(value)).shape[-1] == 3


def test_one_name_has_one_size():
    def model():
        with plate("n", 3):
            pass
        with plate("n", 4):
            pass

    with pytest.raises(ValueError, match="'n' is declared with size 3 and again with size 4"):
        run(model)
