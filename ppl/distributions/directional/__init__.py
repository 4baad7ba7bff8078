"""Distributions of directions."""

from ppl.distributions.directional.spheres import ProjectedNormal, VonMises
from ppl.distributions.directional.torus import SineBivariateVonMises, SineSkewed
