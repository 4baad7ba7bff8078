import asyncio
import threading

import numpy as np
import pytest

from ppl import distributions as dist
from ppl import handlers, plate, sample
from ppl.primitives import _PYRO_STACK, deterministic
from ppl.stack import CondIndepStackFrame, Messenger, apply_outer, apply_stack, copy_message, current_stack, isolated


class Log(Messenger):
    def __init__(self, fn=None, *, name="", log=None, stop=False):
        super().__init__(fn)
        self.name, self.log, self.stop = name, log, stop

    def process_message(self, msg):
        self.log.append(f"{self.name} out")
        if self.stop:
            msg["stop"] = True

    def postprocess_message(self, msg):
        self.log.append(f"{self.name} back")


def site(value=1.0):
    return {"type": "deterministic", "name": "x", "fn": lambda: 7.0, "args": (), "kwargs": {}, "value": value}


@pytest.mark.parametrize(
    ("stopping", "expected"),
    [
        (None, ["c out", "b out", "a out", "a back", "b back", "c back"]),
        ("b", ["c out", "b out", "b back", "c back"]),
        ("c", ["c out", "c back"]),
    ],
)
def test_messages_go_out_until_stopped_and_come_back_in_reverse(stopping, expected):
    log = []
    with Log(name="a", log=log), Log(name="b", log=log, stop=stopping == "b"), Log(name="c", log=log, stop=stopping == "c"):
        apply_stack(site())
    assert log == expected


def test_default_gives_a_value_only_where_there_is_none():
    assert apply_stack(site(None))["value"] == 7.0
    assert apply_stack(site(0.0))["value"] == 0.0


def test_stack_view_counts_handlers_and_is_empty_after_an_error():
    assert len(_PYRO_STACK) == 0
    outer = Messenger()
    with outer:
        assert len(_PYRO_STACK) == 1
        assert _PYRO_STACK[0] is outer
        with pytest.raises(KeyError), Messenger(), Messenger():
            assert len(_PYRO_STACK) == 3
            raise KeyError
        assert list(_PYRO_STACK) == [outer]
    assert not _PYRO_STACK


def test_handler_takes_everything_pushed_after_it_along():
    outer = Messenger()
    with outer:
        Messenger().__enter__()
    assert current_stack() == ()


def test_handlers_are_reusable_and_reentrant():
    log = []
    h = Log(name="h", log=log)
    for _ in range(2):
        with h, h:
            apply_stack(site())
            assert len(_PYRO_STACK) == 2
    assert len(log) == 8
    assert current_stack() == ()


def test_three_ways_to_use_a_handler():
    class Double(Messenger):
        def process_message(self, msg):
            msg["value"] = 2 * msg["value"]

    @Double()
    def decorated():
        """Documented."""
        return deterministic("x", 3)

    assert decorated() == 6
    assert decorated.__doc__ == "Documented."
    assert Double(lambda x: deterministic("x", x))(4) == 8
    with Double():
        assert deterministic("x", 5) == 10


@pytest.mark.parametrize(
    "make", [lambda: Messenger(3), lambda: Messenger()(3), lambda: handlers.trace("model"), lambda: Messenger()()]
)
def test_non_callable_is_refused(make):
    with pytest.raises(ValueError, match="to be a Python callable object"):
        make()


def test_apply_outer_skips_inner_handlers():
    log = []

    class Copying(Messenger):
        def process_message(self, msg):
            apply_outer(self, copy_message(msg))

    with Log(name="a", log=log), Copying(), Log(name="c", log=log):
        apply_stack(site())
    assert log == ["c out", "a out", "a back", "a out", "a back", "c back"]


def test_isolated_hides_all_handlers():
    with Messenger():
        with isolated():
            assert current_stack() == ()
        assert len(current_stack()) == 1


def test_threads_have_stacks_of_their_own():
    barrier, results = threading.Barrier(4), {}

    def model(i):
        x = sample("x", dist.Normal(0.0, 1.0), obs=float(i))
        barrier.wait()
        return sample("y", dist.Normal(x, 1.0), obs=x + 1)

    def work(i):
        results[i] = handlers.trace(model).get_trace(i)

    with handlers.trace() as outside:
        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert not outside
    assert {i: (tr["x"]["value"], tr["y"]["value"]) for i, tr in results.items()} == {i: (i, i + 1) for i in range(4)}


def test_tasks_have_stacks_of_their_own():
    async def work(i):
        with handlers.trace() as tr:
            await asyncio.sleep(0)
            sample(f"x{i}", dist.Normal(0.0, 1.0), obs=1.0)
            await asyncio.sleep(0)
        return list(tr)

    async def main():
        return await asyncio.gather(*(work(i) for i in range(3)))

    assert asyncio.run(main()) == [["x0"], ["x1"], ["x2"]]


def test_errors_carry_the_site_its_distribution_its_plates_and_the_line():
    def model():
        with plate("school", 4):
            sample("effect", dist.Normal(0.0, 1.0).mask(np.ones(4, bool)))

    with pytest.raises(ValueError, match="key") as caught, handlers.trace():
        model()
    (note,) = [n for n in caught.value.__notes__ if n.startswith("ppl:")]
    for part in (
        "'effect' ~ Normal",
        "batch shape (4,)",
        "'school' (size 4, dim -1)",
        "handlers.seed",
        "test_stack.py",
        "in model",
    ):
        assert part in note


def test_copied_messages_share_no_containers():
    msg = {"infer": {}, "kwargs": {}, "cond_indep_stack": [CondIndepStackFrame("n", -1, 2)], "value": 1}
    copied = copy_message(msg)
    assert copied == msg
    assert all(copied[field] is not msg[field] for field in ("infer", "kwargs", "cond_indep_stack"))
