"""Effect handlers: each changes the meaning of the statements of a model that runs inside it."""

from ppl.handlers.conjugacy import collapse
from ppl.handlers.density import mask, scale
from ppl.handlers.enumeration import enum, markov
from ppl.handlers.programs import lift, reparam
from ppl.handlers.randomness import seed
from ppl.handlers.structure import block, infer_config, scope, trace
from ppl.handlers.values import condition, do, replay, substitute, uncondition

__all__ = [
    "block",
    "collapse",
    "condition",
    "do",
    "enum",
    "infer_config",
    "lift",
    "markov",
    "mask",
    "reparam",
    "replay",
    "scale",
    "scope",
    "seed",
    "substitute",
    "trace",
    "uncondition",
]
