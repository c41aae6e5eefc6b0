"""Composition with |, as in aatm: `retriever(queries) | reranker | selector`."""

from typing import Any


class PipelineBaseClass:
    """A step of a pipeline: `value | step` calls `step(value)`; the base step returns its input unchanged.

    The behaviour is that of `aatm.pipeline.PipelineBaseClass` (aatm 0.1.7).
    """

    def __or__(self, other: Any) -> Any:
        """Give this object to the step on the right: `a | b` is `b(a)`."""
        return other(self)

    def __ror__(self, other: Any) -> Any:
        """Take what stands on the left, whatever it is: `value | step` is `step(value)`."""
        return self(other)

    def __call__(self, input: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the input; steps that do something override this."""
        return input
