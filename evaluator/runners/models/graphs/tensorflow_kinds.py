"""Which kind of operator each of TensorFlow's is."""

from __future__ import annotations

from evaluator.efficiency.ops import Kind

LEFT_OUT = frozenset(
    (
        *(
            "Const",
            "Placeholder",
            "PlaceholderWithDefault",
            "Identity",
            "IdentityN",
            "NoOp",
            "StopGradient",
            "Snapshot",
        ),
        *("PreventGradient", "EnsureShape", "CheckNumerics", "ReadVariableOp", "VarHandleOp", "Assert", "Shape"),
        *("ShapeN", "Size", "Rank", "ControlTrigger", "DisableCopyOnRead"),
    )
)
"""Operators that neither compute nor move anything."""

SHAPES = frozenset(("Shape", "ShapeN", "Size", "Rank", "VariableShape"))
"""Operators that look at the shape of their input only."""

LOOPS = frozenset(("While", "StatelessWhile", "LoopCond"))

_WORDS: dict[Kind, str] = {
    "conv": "Conv2D DepthwiseConv2dNative Conv3D",
    "conv_transpose": "Conv2DBackpropInput Conv3DBackpropInputV2 DepthwiseConv2dNativeBackpropInput",
    "dense": "MatMul",
    "matmul": "BatchMatMul BatchMatMulV2 BatchMatMulV3 Einsum",
    "add": "Add AddV2 AddN BiasAdd BiasAddV1",
    "sub": "Sub",
    "mul": "Mul",
    "div": "RealDiv",
    "maximum": "Maximum",
    "minimum": "Minimum",
    "pow": "Pow",
    "square": "Square",
    "squared_difference": "SquaredDifference",
    "neg": "Neg",
    "reciprocal": "Reciprocal",
    "rsqrt": "Rsqrt",
    "log": "Log",
    "compare": "Equal NotEqual Greater GreaterEqual Less LessEqual",
    "softmax": "Softmax",
    "activation": "Relu Relu6 LeakyRelu Elu Selu Sigmoid Tanh Softplus Softsign LogSoftmax",
    "elementwise": """Abs Acos Acosh Asin Asinh Atan Atan2 Atanh Ceil ClipByValue Complex ComplexAbs Conj Cos Cosh Div
        DivNoNan Erf Erfc Exp Expm1 FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel
        Floor FloorDiv FloorMod HSVToRGB Inv Invert IsFinite IsInf IsNan Log1p LogicalAnd LogicalNot LogicalOr Mod
        MulNoNan RGBToHSV Rint Round Select SelectV2 Sign Sin Sinh Sqrt Tan Xdivy Xlogy BitwiseAnd BitwiseOr
        BitwiseXor LeftShift RightShift TruncateDiv TruncateMod QuantizeAndDequantize QuantizeAndDequantizeV2
        QuantizeAndDequantizeV3 QuantizeAndDequantizeV4""",
    "norm": "FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 BatchNormWithGlobalNormalization LRN",
    "mean": "Mean",
    "sum": "Sum",
    "max": "Max Min",
    "argmax": "ArgMax ArgMin",
    "reduce": "All Any Prod Cumsum Cumprod",
    "max_pool": "MaxPool",
    "avg_pool": "AvgPool",
    "resize": "ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor ScaleAndTranslate CropAndResize",
    "move": """BatchToSpace BatchToSpaceND Bitcast BroadcastTo Cast Concat ConcatV2 DepthToSpace Diag DiagPart
        Dequantize ExpandDims ExtractImagePatches ExtractVolumePatches Fill Gather GatherNd GatherV2 MirrorPad OneHot
        OnesLike Pack Pad PadV2 ParallelConcat QuantizeV2 Range Reshape Reverse ReverseV2 Roll ScatterNd Slice
        SpaceToBatch SpaceToBatchND SpaceToDepth Split SplitV Squeeze StridedSlice TensorScatterUpdate Tile Transpose
        Unpack ZerosLike""",
}
KINDS: dict[str, Kind] = {word: kind for kind, words in _WORDS.items() for word in words.split()}
"""Operator → its kind; the others are unknown."""
