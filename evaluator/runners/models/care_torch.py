"""A look at TorchScript and torch.export archives before torch loads them."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evaluator.runners.models.files import ModelArchive, unsafe
from evaluator.runners.models.problem import Foreign, ModelProblem, loading

# A hint, not a proof: TorchScript has more ways to files than names that can be searched for.
_FILES = re.compile(r"\b(?:from_file|read_file|write_file|torch\s*\.\s*(?:save|load)|ops\s*\.\s*aten\s*\.\s*save)\b")
_OPERATORS = re.compile(r"(?<![\w.])ops\s*\.\s*(\w+)\s*\.\s*(\w+)")
_NAMESPACES = ("prim", "aten", "quantized", "torchvision")
_TORCHVISION = ("nms", "deform_conv2d", "roi_align", "roi_pool")


def check_torchscript(path: Path) -> None:
    """Refuse archives whose code names files or foreign operators.

    Raises:
        ModelProblem: it is unsafe, or no TorchScript archive.
    """
    archive = ModelArchive(path, "a TorchScript file")
    code = [name for name in archive.names if "/code/" in name and name.endswith(".py")]
    if not code:
        if any(name.endswith("/models/model.json") for name in archive.names):
            got, fix = "a file of torch.export", 'Set format = "pt2" in [artefacts].'
        else:
            got, fix = "no code in it (weights alone?)", "Save it with torch.jit.save, or export it."
        raise ModelProblem("model-format", expected="a TorchScript file", got=got, fix=fix)
    for name in code:
        text = archive.read(name).decode("utf-8", "replace")
        if found := _FILES.search(text):
            raise unsafe("TorchScript that uses no files", f"{found[0]!r} in {name!r}")
        for namespace, operator in _OPERATORS.findall(text):
            if namespace not in _NAMESPACES or (namespace == "torchvision" and operator not in _TORCHVISION):
                raise unsafe("operators of torch itself", f"'{namespace}.{operator}' in {name!r}")


# What torch.export.save of torch 2.8 and later writes below the archive's own folder.
_RAW = re.compile(
    r"data/(?:weights/(?:weight_\d+|model_weights_config\.json)|constants/(?:tensor_\d+|model_constants_config\.json))"
    r"|models/model\.json|archive_format|archive_version|byteorder|version|\.data/(?:version|serialization_id)"
    r"|\.format_version|\.storage_alignment"
)
_SAMPLES = "data/sample_inputs/model.pt"
_CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_TARGET = re.compile(r"torch\.ops\.(?:aten|torchvision)\.\w+\.\w+|_operator\.\w+|torch\.sym_\w+|math\.\w+")
_NO_TARGET = re.compile(r"from_file|save|load|read_|write_|_operator\.(?:attrgetter|itemgetter|methodcaller|call)\b")
_HIGHER_ORDER = ("torch.ops.higher_order.wrap_with_set_grad_enabled", "torch.ops.higher_order.cond")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
# The text of a symbolic size, which torch hands to an evaluator of Python expressions.
_FUNCTIONS = (
    "Symbol|Integer|Rational|Float|Mul|Add|Pow|Max|Min|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv|CeilToInt|FloorToInt"
    "|FloatTrueDiv|IntTrueDiv|ToFloat|ModularIndexing|Where|PowByNatural|TruncToInt|RoundToInt|floor|ceiling|And|Or|Not"
    "|Equality|Unequality|Eq|Ne|GreaterThan|LessThan|StrictGreaterThan|StrictLessThan"
)
_WORDS = r"true|false|True|False|integer|positive|nonnegative|precision|zuf\d+|[su]\d+|\d+(?:\.\d+)?"
_SYMBOLIC = re.compile(
    rf"(?:Symbol\('[a-z]+\d+'|Float\('[\d.e+-]+'|(?:{_FUNCTIONS}|{_WORDS})(?![\w.'])|[-+*/(), =<>])*", re.ASCII
)


def safe_pt2(path: Path) -> io.BytesIO:
    """Return a torch.export archive without the parts that torch would unpickle.

    Sample inputs, which every archive holds as a pickle and no run needs, are left out. Whatever else is not JSON or
    raw numbers is refused, as are operators that are not torch's own.

    Raises:
        ModelProblem: it is unsafe, or no such archive.
    """
    archive = ModelArchive(path, "a file of torch.export.save")
    roots = {name.partition("/")[0] for name in archive.names}
    if len(roots) != 1:
        raise unsafe("one folder in the archive", f"{len(roots)}")
    root = roots.pop()
    names = [name.removeprefix(f"{root}/") for name in archive.names]
    if "models/model.json" not in names:
        raise ModelProblem(
            "model-format",
            expected="a file of torch.export.save",
            got="an archive without models/model.json",
            fix="Save it with torch 2.8 or later, or correct format in [artefacts].",
        )
    for name in names:
        if not _RAW.fullmatch(name) and name != _SAMPLES:
            raise unsafe("JSON and raw weights", f"the member {name!r}", "Save the exported program alone.")
    for name in _CONFIGS:
        if name in names:
            _check_config(name, _json(archive, f"{root}/{name}"))
    _check_program(_json(archive, f"{root}/models/model.json"))
    clean = io.BytesIO()
    with zipfile.ZipFile(clean, "w", zipfile.ZIP_STORED) as rewritten:
        for name in names:
            # An empty member stands for no sample inputs.
            data = b"" if name == _SAMPLES else archive.read(f"{root}/{name}", limit=2**32)
            rewritten.writestr(f"{root}/{name}", data)
    clean.seek(0)
    return clean


def _json(archive: ModelArchive, name: str) -> Foreign:
    with loading("JSON in the archive"):
        return json.loads(archive.read(name))


def _check_config(name: str, config: Foreign) -> None:
    for entry in _dicts(config):
        if entry.get("use_pickle", False) is not False:
            raise unsafe("weights as raw numbers", f"pickled ones in {name!r}", "Export plain tensors, in torch 2.8+.")
        file = entry.get("path_name", "weight_0")
        if not isinstance(file, str) or not re.fullmatch(r"(?:weight|tensor)_\d+", file):
            raise unsafe("weights as raw numbers", f"{file!r} in {name!r}", "Export plain tensors, in torch 2.8+.")


def _check_program(program: Foreign) -> None:
    for entry in _dicts(program):
        for key in ("expr_str", "target", "name"):
            if key in entry and not isinstance(entry[key], str):
                raise unsafe(f"a text as {key}", type(entry[key]).__name__)
        if "expr_str" in entry and not _SYMBOLIC.fullmatch(entry["expr_str"]):
            raise unsafe("sizes as torch writes them", repr(entry["expr_str"][:80]))
        if "name" in entry and entry["name"] and not _IDENTIFIER.fullmatch(entry["name"]):
            raise unsafe("plain names in the graph", repr(entry["name"][:80]))
        # Nodes have inputs; the signature uses the same word for names of parameters.
        if "target" in entry and "inputs" in entry:
            target = entry["target"]
            if target not in _HIGHER_ORDER and (not _TARGET.fullmatch(target) or _NO_TARGET.search(target)):
                raise unsafe("operators of torch itself", repr(target[:80]))


def _dicts(value: Foreign) -> Iterator[dict[str, Any]]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
