"""What torch's operators are called in `efficiency.ops`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evaluator.efficiency.ops import Kind, Shape
from evaluator.runners.models.problem import Foreign

_WORDS: dict[Kind, str] = {
    "conv": "convolution _convolution convolution_overrideable",
    "dense": "linear",
    "matmul": "mm bmm matmul mv dot vdot addmm addmv baddbmm _addmm_activation",
    "attention": "scaled_dot_product_attention _scaled_dot_product_flash_attention "
    "_scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_efficient_attention "
    "_scaled_dot_product_cudnn_attention _scaled_dot_product_fused_attention_overrideable",
    "add": "add",
    "sub": "sub rsub",
    "mul": "mul",
    "div": "div floor_divide",
    "maximum": "maximum fmax",
    "minimum": "minimum fmin",
    "pow": "pow float_power",
    "square": "square",
    "neg": "neg",
    "reciprocal": "reciprocal",
    "rsqrt": "rsqrt",
    "log": "log",
    "compare": "eq ne lt le gt ge isnan isinf isfinite",
    "softmax": "softmax _softmax log_softmax _log_softmax _safe_softmax",
    "activation": "relu relu6 leaky_relu prelu _prelu_kernel rrelu rrelu_with_noise elu selu celu gelu silu mish "
    "sigmoid tanh hardtanh hardswish hardsigmoid hardshrink softshrink softplus log_sigmoid log_sigmoid_forward "
    "threshold glu",
    "elementwise": "abs sign sgn sqrt exp exp2 expm1 log2 log10 log1p sin cos tan asin acos atan atan2 sinh cosh asinh "
    "acosh atanh erf erfc erfinv floor ceil round trunc frac remainder fmod clamp clamp_min clamp_max lerp addcmul "
    "addcdiv where logical_and logical_or logical_not logical_xor bitwise_and bitwise_or bitwise_not bitwise_xor "
    "__and__ __or__ __xor__ __iand__ __ior__ __ixor__ __lshift__ __rshift__ nan_to_num hypot copysign logit xlogy sinc "
    "rand rand_like randn randn_like randint randint_like randperm normal normal_functional bernoulli uniform dropout "
    "feature_dropout native_dropout masked_fill real imag conj _conj conj_physical resolve_conj resolve_neg angle",
    "norm": "batch_norm native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training "
    "_batch_norm_no_update cudnn_batch_norm instance_norm group_norm native_group_norm layer_norm native_layer_norm "
    "rms_norm _fused_rms_norm local_response_norm _weight_norm _weight_norm_interface",
    "mean": "mean",
    "sum": "sum nansum",
    "max": "max amax",
    "argmax": "argmax argmin",
    "reduce": "min amin aminmax prod var var_mean std std_mean norm linalg_vector_norm logsumexp cumsum cumprod any "
    "all median nanmedian mode",
    "max_pool": "max_pool2d_with_indices max_pool3d_with_indices mkldnn_max_pool2d mkldnn_max_pool3d "
    "adaptive_max_pool2d adaptive_max_pool3d",
    "avg_pool": "avg_pool2d avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d mkldnn_adaptive_avg_pool2d",
    "move": "view _unsafe_view reshape _reshape_alias _reshape_copy view_as view_as_real view_as_complex flatten "
    "unflatten squeeze unsqueeze permute transpose t numpy_T mT adjoint swapaxes movedim moveaxis expand expand_as "
    "repeat tile repeat_interleave cat concat concatenate stack hstack vstack split split_with_sizes unsafe_split "
    "unsafe_chunk chunk unbind slice slice_scatter select select_scatter narrow narrow_copy index _unsafe_index "
    "index_select index_put _index_put_impl _unsafe_index_put index_copy index_fill gather scatter take take_along_dim "
    "masked_select masked_scatter embedding one_hot unfold unfold_copy im2col roll flip fliplr flipud rot90 pad "
    "constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d "
    "replication_pad3d _pad_circular _pad_enum pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle "
    "as_strided diagonal diag_embed tril triu clone copy contiguous to _to_copy type_as detach alias lift lift_fresh "
    "lift_fresh_copy fill zero zeros zeros_like ones ones_like full full_like empty empty_like empty_strided new_empty "
    "new_empty_strided new_zeros new_ones new_full eye arange linspace logspace scalar_tensor tril_indices "
    "triu_indices meshgrid broadcast_to broadcast_tensors positive dequantize _to_cpu resize _assert_async complex "
    "permute_copy view_copy expand_copy slice_copy select_copy as_strided_scatter diagonal_scatter set",
    # Whole, although torch could take them apart: no other format's reader does.
    "unknown": "lstm gru rnn_tanh rnn_relu quantized_lstm quantized_gru",
}
_KINDS: dict[str, Kind] = {word: kind for kind, words in _WORDS.items() for word in words.split()}
_OPERANDS = {
    "addmm": ("mat1", "mat2"),
    "_addmm_activation": ("mat1", "mat2"),
    "addmv": ("mat", "vec"),
    "baddbmm": ("batch1", "batch2"),
    "mv": ("self", "vec"),
    "dot": ("self", "tensor"),
    "vdot": ("self", "other"),
    "matmul": ("self", "other"),
}
_STATISTICS = ("running_mean", "running_var")


def kind_of(namespace: str, name: str, overload: str) -> Kind | None:
    """Return the kind of an operator, or None if there is no rule for it.

    Args:
        namespace: `aten` of torch itself.
        name: without the overload; in-place variants end with an underscore.
        overload: of `aten.max.other` the last word.
    """
    if namespace != "aten":
        return None
    plain = base(name)
    if plain in ("max", "min") and overload in ("other", "out"):
        return "maximum" if plain == "max" else "minimum"
    if plain.startswith(("upsample_", "_upsample_")):
        return "resize"
    return _KINDS.get(plain)


def base(name: str) -> str:
    """Return an operator's name without the underscore of an in-place variant."""
    return name if name.endswith("__") else name.removesuffix("_")


def shape_of(tensor: Foreign) -> Shape:
    """Return a tensor's shape."""
    return tuple(int(d) for d in tensor.shape)


def statistics(kind: Kind | None, values: Mapping[str, Any]) -> list[Foreign]:
    """Return the operands that are statistics of a normalisation, which are no parameters."""
    return [values[name] for name in _STATISTICS if values.get(name) is not None] if kind == "norm" else []


def described(
    kind: Kind, name: str, values: Mapping[str, Any], tensors: Sequence[Foreign], output: Shape
) -> dict[str, Any]:
    """Return the fields of an `Op` that its rule needs.

    Args:
        kind: what `kind_of` gives.
        name: the operator's plain name.
        values: its arguments by the names that its schema gives them.
        tensors: all tensors among them.
        output: shape of its first result.
    """
    if kind == "conv":
        return {
            "kind": "conv_transpose" if values["transposed"] else "conv",
            "inputs": (shape_of(values["input"]),),
            "weight": shape_of(values["weight"]),
            "groups": int(values["groups"]),
            "bias": values.get("bias") is not None,
        }
    if kind == "dense":
        weight = shape_of(values["weight"])
        return {
            "kind": kind,
            "inputs": (shape_of(values["input"]),),
            "weight": weight if len(weight) == 2 else (1, *weight),
            "bias": values.get("bias") is not None,
        }
    if kind == "matmul":
        first, second = _OPERANDS.get(name, ("self", "mat2"))
        return {
            "kind": kind,
            "inputs": (shape_of(values[first]), shape_of(values[second])),
            "bias": first != "self",
        }
    if kind == "attention":
        return {"kind": kind, "inputs": tuple(shape_of(values[word]) for word in ("query", "key", "value"))}
    inputs = tuple(shape_of(t) for t in tensors)
    if kind in ("max_pool", "avg_pool"):
        window = _window(name, values, inputs[0], output)
        return {"kind": kind, "inputs": inputs[:1], "window": window} if window else {"kind": "reduce"}
    return {"kind": kind, "inputs": inputs[:64]}


def _window(name: str, values: Mapping[str, Any], taken: Shape, given: Shape) -> Shape | None:
    axes = 3 if "3d" in name else 2
    if "adaptive" not in name:
        size = values["kernel_size"]
        size = [size] if isinstance(size, int) else list(size)
        return tuple(size * axes if len(size) == 1 else size)
    if any(i % o for i, o in zip(taken[-axes:], given[-axes:], strict=True)):
        return None  # windows of more than one size
    return tuple(i // o for i, o in zip(taken[-axes:], given[-axes:], strict=True))
