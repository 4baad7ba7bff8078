"""Enumeration under the names of NumPyro's `contrib.funsor`, so that a model ports by changing the import; funsor is not needed."""

from ppl.contrib.funsor.discrete import infer_discrete
from ppl.contrib.funsor.enum_messenger import enum, markov, plate, to_data, to_funsor, trace
from ppl.contrib.funsor.infer_util import config_enumerate, config_kl, log_density, plate_to_enum_plate
from ppl.handlers import infer_config
from ppl.ops.indexing import Vindex
from ppl.util import format_shapes

__all__ = [
    "Vindex",
    "config_enumerate",
    "config_kl",
    "enum",
    "format_shapes",
    "infer_config",
    "infer_discrete",
    "log_density",
    "markov",
    "plate",
    "plate_to_enum_plate",
    "to_data",
    "to_funsor",
    "trace",
]
