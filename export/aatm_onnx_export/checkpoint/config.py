"""What a config.json says: whether this is a Qwen3 causal LM, its sizes, and the tensors that it must have."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from aatm_onnx.bundle import ModelConfig
from aatm_onnx.errors import ExportError

# The RoPE variants whose frequencies don't depend on the length of the input, so that one graph fits all lengths.
ROPE_TYPES = ("default", "linear", "yarn", "llama3")
DEFAULT_ROPE_THETA = 10_000.0  # Qwen3Config's; the released rerankers have a million
_OPTIONAL = {"architectures": list, "layer_types": list, "rope_scaling": dict}  # may be left out, or null
_SIZES = [field.name for field in fields(ModelConfig) if field.name != "tie_word_embeddings"]
# Ten times what any Qwen3 has. The names of all tensors are listed before the weights are asked for them.
_MOST = dict.fromkeys(_SIZES, 1 << 20) | {"num_hidden_layers": 1000, "vocab_size": 1 << 24}


def with_rope_in_one_place(config: dict[str, Any]) -> dict[str, Any]:
    """Bring what transformers 5 writes as `rope_parameters` back to `rope_theta` and `rope_scaling`.

    transformers 4, which optimum's exporter needs, would overlook these and compute with a theta of 10,000.
    """
    config = dict(config)
    parameters = config.pop("rope_parameters", None)
    if not isinstance(parameters, dict | None):
        raise ValueError("rope_parameters is not an object")
    if parameters is not None:
        config["rope_theta"] = parameters.get("rope_theta", config.get("rope_theta", DEFAULT_ROPE_THETA))
        scaling = {name: value for name, value in parameters.items() if name != "rope_theta"}
        config["rope_scaling"] = None if rope_type(scaling) == "default" else scaling
    return config


def rope_type(scaling: Mapping[str, Any]) -> Any:
    """Say which kind of RoPE a `rope_scaling` means; transformers changed its name for it."""
    return scaling.get("rope_type", scaling.get("type", "default"))


def read_config(config: dict[str, Any], where: str) -> ModelConfig:
    """Take the sizes out of a config.json's contents.

    Args:
        config: the contents, RoPE in one place (`with_rope_in_one_place`).
        where: names the checkpoint in errors.

    Raises:
        ExportError: it is not a Qwen3 causal LM, is quantized, uses sliding-window attention or a length-dependent
            RoPE, or a value that is needed is missing or of another type.
    """
    _refuse_others(config, where)
    _check_numbers(config, where)
    sizes = {"head_dim": 128, **config}  # 128: Qwen3Config's default, for a config.json that leaves it out
    for size in _SIZES:
        value = sizes.get(size)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST[size]:
            raise ExportError(f"{where}: its config.json gives {value!r:.40} for {size}.")
    if sizes["num_attention_heads"] % sizes["num_key_value_heads"] or sizes["head_dim"] % 2:
        raise ExportError(
            f"{where}: its config.json gives {sizes['num_attention_heads']} query heads of {sizes['head_dim']} for"
            f" {sizes['num_key_value_heads']} key-value heads, which do not divide."
        )
    tied = config.get("tie_word_embeddings", False)
    if not isinstance(tied, bool):
        raise ExportError(f"{where}: its config.json gives {tied!r:.40} for tie_word_embeddings, not true or false.")
    return ModelConfig(**{size: sizes[size] for size in _SIZES}, tie_word_embeddings=tied)


def _refuse_others(config: dict[str, Any], where: str) -> None:
    """Raise an ExportError unless this is a Qwen3 causal LM with what a graph here can express."""
    for key, kind in _OPTIONAL.items():
        if not isinstance(config.get(key) or kind(), kind):
            raise ExportError(
                f"{where}: its config.json gives {config[key]!r} for {key}, which is not a {kind.__name__}."
            )
    architectures = config.get("architectures") or []
    if config.get("model_type") != "qwen3" or "Qwen3ForCausalLM" not in architectures:
        found = ", ".join(map(str, architectures)) or config.get("model_type") or "no architecture"
        raise ExportError(f"{where} is not a Qwen3 causal LM: its config.json says {found}, not Qwen3ForCausalLM.")
    if config.get("quantization_config"):
        raise ExportError(f"{where} has quantized weights; export the checkpoint that they were made of.")
    if config.get("use_sliding_window") or "sliding_attention" in (config.get("layer_types") or []):
        raise ExportError(f"{where} uses sliding-window attention, which no graph here can express.")
    if (scaling := rope_type(config.get("rope_scaling") or {})) not in ROPE_TYPES:
        raise ExportError(
            f"{where} has rope_scaling of type {scaling!r}; only {', '.join(ROPE_TYPES)} can be exported."
        )


def _check_numbers(config: dict[str, Any], where: str) -> None:
    """Raise an ExportError where a number that is not a size can't be meant."""
    for key, default in (("rms_norm_eps", 1e-6), ("rope_theta", DEFAULT_ROPE_THETA)):
        if not (_is_number(value := config.get(key, default)) and value > 0):
            raise ExportError(
                f"{where}: its config.json gives {value!r:.40} for {key}, where a number above 0 is expected."
            )
    for key, value in (config.get("rope_scaling") or {}).items():
        if isinstance(value, int | float) and not isinstance(value, bool) and not _is_number(value):
            raise ExportError(f"{where}: its config.json gives {value!r:.40} for {key}, which is too large a number.")


def _is_number(value: Any) -> bool:
    """Whether it is a number that float32 can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e38


def tensor_shapes(config: ModelConfig, attention_bias: bool = False) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a Qwen3 causal LM, as transformers' Qwen3ForCausalLM saves them."""
    a = config
    heads, kv_heads = a.num_attention_heads * a.head_dim, a.num_key_value_heads * a.head_dim
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (a.vocab_size, a.hidden_size)}
    for layer in range(a.num_hidden_layers):
        block = {
            "input_layernorm.weight": (a.hidden_size,),
            "self_attn.q_proj.weight": (heads, a.hidden_size),
            "self_attn.k_proj.weight": (kv_heads, a.hidden_size),
            "self_attn.v_proj.weight": (kv_heads, a.hidden_size),
            "self_attn.o_proj.weight": (a.hidden_size, heads),
            "self_attn.q_norm.weight": (a.head_dim,),
            "self_attn.k_norm.weight": (a.head_dim,),
            "post_attention_layernorm.weight": (a.hidden_size,),
            "mlp.gate_proj.weight": (a.intermediate_size, a.hidden_size),
            "mlp.up_proj.weight": (a.intermediate_size, a.hidden_size),
            "mlp.down_proj.weight": (a.hidden_size, a.intermediate_size),
        }
        if attention_bias:
            projections = [f"self_attn.{name}_proj" for name in "qkvo"]
            block |= {f"{name}.bias": block[f"{name}.weight"][:1] for name in projections}
        shapes |= {f"model.layers.{layer}.{name}": shape for name, shape in block.items()}
    shapes["model.norm.weight"] = (a.hidden_size,)
    if not a.tie_word_embeddings:
        shapes["lm_head.weight"] = (a.vocab_size, a.hidden_size)
    return shapes
