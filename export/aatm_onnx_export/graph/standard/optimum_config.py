"""What optimum's ONNX exporter must know of `YesNoModel`: its inputs, its output and their dynamic axes."""

from optimum.exporters.onnx import OnnxConfig
from optimum.utils import DummyTextInputGenerator, NormalizedTextConfig


class YesNoOnnxConfig(OnnxConfig):  # type: ignore[misc]  # optimum-onnx has no type hints
    """input_ids and attention_mask, (batch, sequence), to logits (batch, 2)."""

    NORMALIZED_CONFIG_CLASS = NormalizedTextConfig
    DUMMY_INPUT_GENERATOR_CLASSES = (DummyTextInputGenerator,)

    @property
    def inputs(self) -> dict[str, dict[int, str]]:
        """Input names, each with its dynamic axes."""
        return {name: {0: "batch", 1: "sequence"} for name in ("input_ids", "attention_mask")}

    @property
    def outputs(self) -> dict[str, dict[int, str]]:
        """Output names, each with its dynamic axes."""
        return {"logits": {0: "batch"}}
