"""Losses of objects, their values and derivatives at a point: objectives and expansions.

``objective.at(logits)`` is cheap and gives value, gradient and Hessian products from one pass of
exponentials. The objectives themselves are made by the functions of `kdtheory.objectives`.

notation: z = logits, g = predictions, u = shares, m = number of objects, K = number of classes
"""

from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kdtheory._checks import check_real_array, check_shape
from kdtheory.logit_terms import AnswerSquares, LogitTerm, Rows, Softmax, Term, classes_first

__all__ = ["AnswerObjective", "Expansion", "LogitObjective"]

Reals = NDArray[np.float64]


class Expansion:
    """Value and derivatives of the losses at a point, each computed when it is asked for.

    The point is logits of shape (m, K), or predictions of shape (m,), where K is 1, or (m, K).
    """

    def __init__(self, terms: tuple[Term, ...], place: Reals) -> None:
        self._terms = terms
        self._shape = place.shape
        known: dict[float, Softmax] = {}
        classes = self._columns(place)
        self._points = [term.point(classes, known) for term in terms]

    @cached_property
    def values(self) -> Reals:
        """Loss of each object, shape (m,)."""
        return self._sum("values")

    @cached_property
    def gradient(self) -> Reals:
        """Its derivatives, in the shape of the point; over classes they sum to 0."""
        return self._sum("gradient").T.reshape(self._shape)

    def hessian_product(self, direction: ArrayLike) -> Reals:
        """Product of each object's Hessian with its row of a direction of the point's shape.

        Raises
        ------
        ValueError, TypeError
            If the direction is not real numbers of this shape.
        """
        v = self._columns(check_shape("direction", direction, self._shape))
        return self._sum("hessian_product", v).T.reshape(self._shape)

    @cached_property
    def hessian(self) -> Reals:
        """Hessian of each object's loss, shape (m, K, K), symmetric."""
        return np.moveaxis(self._sum("hessian"), -1, 0)

    @staticmethod
    def _columns(array: Reals) -> Reals:
        return classes_first(array if array.ndim == 2 else array[:, None])

    def _sum(self, what: str, *arguments: Reals) -> Reals:
        with np.errstate(over="ignore", under="ignore"):
            parts = [
                getattr(term, what)(point, *arguments)
                for term, point in zip(self._terms, self._points, strict=True)
            ]
        total: Reals = parts[0]
        for part in parts[1:]:
            total += part
        return total


class LogitObjective:
    """Losses of m objects as functions of their logits; made by `kdtheory.objectives`.

    Attributes
    ----------
    n_objects, n_classes : int
        m and K.
    """

    def __init__(self, terms: tuple[LogitTerm, ...]) -> None:
        self._terms = terms
        self.n_classes, self.n_objects = terms[0].shape

    def __repr__(self) -> str:
        return f"LogitObjective(n_objects={self.n_objects}, n_classes={self.n_classes})"

    @property
    def convex(self) -> bool:
        """Whether every loss is known to be convex in the logits."""
        return all(term.convex for term in self._terms)

    @property
    def support(self) -> NDArray[np.bool_]:
        """Classes that a target gives weight to, shape (m, K).

        The convex losses stay bounded along a direction of the logits only if all classes of
        the support of each object have the largest of its velocities. Where the printed
        regulariser acts that is every class.
        """
        result = np.zeros((self.n_classes, self.n_objects), dtype=bool)
        for term in self._terms:
            result |= term.support
        return result.T

    def at(self, logits: ArrayLike) -> Expansion:
        """Losses near these logits, of shape (m, K), whose numbers are not checked: finite ones.

        Raises
        ------
        ValueError, TypeError
            If they are not real numbers of this shape.
        """
        z = check_shape("logits", logits, (self.n_objects, self.n_classes))
        return Expansion(self._terms, z)

    def rows(self, index: Rows) -> "LogitObjective":
        """The losses of some objects, by slice, index array or mask; nothing is checked again."""
        return LogitObjective(tuple(term.rows(index) for term in self._terms))

    def blends(self, other: "LogitObjective", shares: ArrayLike) -> "LogitObjective":
        """Losses (1 − u) · own + u · other's, for all objects at one share u after the other.

        Both must be cross-entropies at T = 1, such as (14) at trusts 0 and 1 without a regulariser,
        whose blends are (14) at the trusts between.

        Raises
        ------
        ValueError
            If one is something else, or their shapes disagree.
        """
        u = check_real_array("shares", shares, ndim=1).astype(np.float64)[:, None]
        single = len(self._terms) == len(other._terms) == 1
        term = self._terms[0].blends(other._terms[0], u) if single else None
        if term is None:
            msg = "`other` must be a cross-entropy at T = 1 of the same objects, as its partner"
            raise ValueError(msg)
        return LogitObjective((term,))


class AnswerObjective:
    r"""Losses of m objects as functions of real predictions; made by `kdtheory.objectives`.

    Attributes
    ----------
    shape : tuple of int
        That of the predictions, (m,) or (m, p).
    """

    def __init__(self, term: AnswerSquares, shape: tuple[int, ...]) -> None:
        self._term = term
        self.shape = shape

    def __repr__(self) -> str:
        return f"AnswerObjective(shape={self.shape})"

    def at(self, predictions: ArrayLike) -> Expansion:
        """Losses near these predictions, whose numbers are not checked.

        Raises
        ------
        ValueError, TypeError
            If they are not real numbers of the shape of the labels.
        """
        return Expansion((self._term,), check_shape("predictions", predictions, self.shape))

    def rows(self, index: Rows) -> "AnswerObjective":
        """The losses of some objects, by slice, index array or mask; nothing is checked again."""
        term = self._term.rows(index)
        return AnswerObjective(term, (len(term.weight), *self.shape[1:]))
