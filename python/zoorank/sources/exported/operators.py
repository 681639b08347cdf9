"""Operators of ATen by what they do to a value."""

from __future__ import annotations

SAME = frozenset(
    (
        *("clone", "contiguous", "_to_copy", "to", "alias", "detach", "dropout", "feature_dropout"),
        *("native_dropout", "lift_fresh_copy", "type_as", "float"),
    )
)
VIEWS = frozenset(
    ("view", "reshape", "flatten", "squeeze", "unsqueeze", "_unsafe_view", "unflatten", "expand")
)
MEANS = frozenset(
    (
        *("mean", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d"),
        *(f"{kind}_pool{axes}d" for kind in ("avg", "adaptive_avg") for axes in (1, 2, 3)),
    )
)
PEAKS = frozenset(
    ("amax", *(f"{kind}_pool{axes}d" for kind in ("max", "adaptive_max") for axes in (1, 2, 3)))
)
# The latter two where only one of what they take depends on the input.
LINEAR = frozenset(("add", "sub", "cat", "permute", "transpose", "t", "neg", "mul", "div"))
CONVOLUTIONS = frozenset(("conv1d", "conv2d", "conv3d", "convolution", "_convolution"))
PRODUCTS = frozenset(("linear", "mm", "matmul", "addmm", "bmm", "baddbmm", "einsum", "mv", "addmv"))
ENDS = frozenset(
    ("softmax", "_softmax", "log_softmax", "_log_softmax", "sigmoid", "special_softmax")
)
RECURRENT = frozenset(("lstm", "gru", "rnn_tanh", "rnn_relu"))
WITH_WEIGHTS = CONVOLUTIONS | PRODUCTS | RECURRENT | {"embedding", "conv_transpose2d"}
CHANNELS_FIRST = frozenset(
    (
        *CONVOLUTIONS,
        *PEAKS,
        *(name for name in MEANS if name != "mean"),
        *("conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "batch_norm", "group_norm"),
        *("_native_batch_norm_legit_no_training", "_native_batch_norm_legit", "instance_norm"),
        *("native_group_norm", "pixel_shuffle", "pixel_unshuffle", "native_batch_norm"),
    )
) - {"amax"}
CHANNELS_LAST = frozenset(("linear", "mm", "addmm", "matmul", "embedding"))
NORMS = frozenset(("layer_norm", "native_layer_norm", "rms_norm"))
# Of these the axes of the output are those of the input.
KEEPS = frozenset(
    (
        *SAME,
        *("relu", "relu_", "gelu", "silu", "silu_", "mish", "hardswish", "hardswish_", "hardtanh"),
        *("hardtanh_", "hardsigmoid", "sigmoid", "tanh", "leaky_relu", "elu", "selu", "celu"),
        *("softplus", "clamp", "clamp_min", "clamp_max", "pow", "sqrt", "rsqrt", "exp", "log"),
        *("abs", "neg", "add", "add_", "sub", "mul", "mul_", "div", "where", "maximum", "minimum"),
        *("cat", "slice", "pad", "constant_pad_nd", "square", "reciprocal", "softmax", "_softmax"),
        *("log_softmax", "_log_softmax", "erf", "sin", "cos", "prelu", "relu6", "logit"),
    )
)
# Of these the output tells of the input's shape alone.
SHAPES = frozenset(("sym_size", "sym_stride", "sym_numel", "size", "numel"))
