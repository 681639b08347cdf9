"""Operators of ONNX, and of the runtime's own domain, by what they do to a value."""

from __future__ import annotations

SAME = (
    "Identity",
    "Cast",
    "Dropout",
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
)
VIEWS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")
MEANS = ("GlobalAveragePool", "AveragePool", "ReduceMean")
PEAKS = ("GlobalMaxPool", "ReduceMax")
LINEAR = ("Add", "Sub", "Mul", "Div", "Sum", "Mean", "Concat", "Transpose")
CONVOLUTIONS = ("Conv", "ConvInteger", "QLinearConv", "FusedConv")
PRODUCTS = (
    "Gemm",
    "MatMul",
    "MatMulInteger",
    "QLinearMatMul",
    "QGemm",
    "FusedMatMul",
    "MatMulIntegerToFloat",
    "DynamicQuantizeMatMul",
    "FusedGemm",
)
# Whose operations nobody counts here.
UNCOUNTED = (
    "LSTM",
    "GRU",
    "RNN",
    "Einsum",
    "If",
    "Loop",
    "Scan",
    "MatMulNBits",
    "Attention",
    "QAttention",
    "MultiHeadAttention",
    "GroupQueryAttention",
    "DeformConv",
    "PackedAttention",
)
WITH_WEIGHTS = (*CONVOLUTIONS, *PRODUCTS, *UNCOUNTED, "ConvTranspose")
ENDS = ("Softmax", "LogSoftmax", "Sigmoid")
CHANNELS_FIRST = (
    *CONVOLUTIONS,
    "ConvTranspose",
    "BatchNormalization",
    "InstanceNormalization",
    "GroupNormalization",
    "MaxPool",
    "LRN",
    "AveragePool",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "LpPool",
    "GlobalLpPool",
    "DepthToSpace",
    "SpaceToDepth",
)
CHANNELS_LAST = (
    *PRODUCTS,
    "SkipLayerNormalization",
    "EmbedLayerNormalization",
    "Attention",
    "QAttention",
    "MultiHeadAttention",
    "FastGelu",
    "BiasGelu",
)
# Of these the axes of the output are those of the input.
KEEPS = (
    "Identity",
    "Cast",
    "Dropout",
    "Relu",
    "LeakyRelu",
    "PRelu",
    "Elu",
    "Selu",
    "Celu",
    "Gelu",
    "QuickGelu",
    "Mish",
    "HardSwish",
    "HardSigmoid",
    "Sigmoid",
    "Tanh",
    "Softplus",
    "Softsign",
    "Erf",
    "Exp",
    "Log",
    "Sqrt",
    "Pow",
    "Neg",
    "Abs",
    "Clip",
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Max",
    "Min",
    "Mean",
    "Sum",
    "Where",
    "Concat",
    "Slice",
    "Pad",
    "Resize",
    "Upsample",
    "LpNormalization",
    "QuantizeLinear",
    "DequantizeLinear",
    "QLinearAdd",
    "QLinearSigmoid",
    "QLinearLeakyRelu",
    "QLinearMul",
    "DynamicQuantizeLinear",
    "RMSNormalization",
    "SimplifiedLayerNormalization",
    "Softmax",
)
