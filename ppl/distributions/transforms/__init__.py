"""Transforms: invertible maps with their log-determinants."""

from ppl.distributions.support import ConstraintRegistry, biject_to
from ppl.distributions.transforms.base import ParameterFreeTransform, Transform
from ppl.distributions.transforms.composition import CatTransform, ComposeTransform, IndependentTransform
from ppl.distributions.transforms.elementwise import (
    AbsTransform,
    AffineTransform,
    ExpTransform,
    IdentityTransform,
    PowerTransform,
    SigmoidTransform,
    SoftplusTransform,
)
from ppl.distributions.transforms.frequencies import (
    DiscreteCosineTransform,
    HaarTransform,
    PackRealFastFourierCoefficientsTransform,
    RealFastFourierTransform,
    _haar_forward,
)
from ppl.distributions.transforms.matrices import (
    CholeskyTransform,
    CorrCholeskyTransform,
    CorrMatrixCholeskyTransform,
    LowerCholeskyAffine,
    LowerCholeskyTransform,
    ScaledUnitLowerCholeskyTransform,
    SoftplusLowerCholeskyTransform,
)
from ppl.distributions.transforms.recursive import RecursiveLinearTransform
from ppl.distributions.transforms.shapes import ComplexTransform, PermuteTransform, ReshapeTransform, UnpackTransform
from ppl.distributions.transforms.vectors import (
    L1BallTransform,
    OrderedTransform,
    SimplexToOrderedTransform,
    StickBreakingTransform,
    ZeroSumTransform,
)
