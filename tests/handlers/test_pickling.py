import pickle

import numpy as np
import pytest

from ppl import distributions as dist
from ppl import handlers, plate, sample


def model():
    with plate("n", 3):
        return sample("x", dist.Normal(0.0, 1.0))


def function_of_site(site):
    return None


HANDLERS = [
    handlers.block(model, hide=["y"]),
    handlers.block(model, expose=["x"]),
    handlers.block(model, expose_types=["sample"]),
    handlers.block(model),
    handlers.condition(model, data={"y": 1.0}),
    handlers.do(model, data={"y": 1.0}),
    handlers.infer_config(model, config_fn=dict),
    handlers.lift(model, prior=dist.Normal(0.0, 1.0)),
    handlers.mask(model, mask=np.array([True, False, True])),
    handlers.reparam(model, config=function_of_site),
    handlers.replay(model, trace={}),
    handlers.scale(model, scale=2.0),
    handlers.scope(model, prefix="a"),
    handlers.seed(model, 3),
    handlers.substitute(model, substitute_fn=function_of_site),
    handlers.trace(model),
    handlers.uncondition(model),
    plate("m", 2, dim=-2),
]


@pytest.mark.parametrize("handler", HANDLERS, ids=lambda h: type(h).__name__)
def test_wrapped_models_pickle(handler):
    again = pickle.loads(pickle.dumps(handler))
    assert type(again) is type(handler)
    if handler.fn is not None and not isinstance(handler, handlers.infer_config):
        assert np.array_equal(handlers.seed(again, 0)(), handlers.seed(handler, 0)())
