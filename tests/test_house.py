"""What holds for the repository as a whole: packaging, dependencies, import order, files."""

import ast
import configparser
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "kerasrnn"

# Imports point down this list only. Packages in one row do not import each other.
STOREYS = [
    ("benchmarks",),
    ("kerasrnn.cli",),
    ("training",),
    ("kerasrnn.lens",),
    ("kerasrnn.zoo",),
    ("kerasrnn.networks", "kerasrnn.serving"),
    ("kerasrnn.convert",),
    ("kerasrnn.embeddings",),
    ("kerasrnn.display", "kerasrnn.themes"),
    ("kerasrnn.data",),
    ("kerasrnn.text",),
    ("kerasrnn.callbacks", "kerasrnn.layers", "kerasrnn.optimizers"),
    ("kerasrnn.cells",),
    ("kerasrnn.recurrence",),
    ("kerasrnn.storage",),
    ("kerasrnn._version", "kerasrnn.command_line", "kerasrnn.extras"),
]
STOREY = {name: number for number, row in enumerate(STOREYS) for name in row}

# What is imported under another name than it is installed by.
DISTRIBUTIONS = {"tensorflow_datasets": "tensorflow-datasets", "sklearn": "scikit-learn"}
# TensorFlow Datasets imports it without declaring it.
NOT_IMPORTED = {"importlib_resources"}
MAXIMUM_BYTES = 8_000_000


def setup() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and line[0] != "#"]


def name_of(requirement: str) -> str:
    return re.split(r"[<>=!~ \[;]", requirement)[0]


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """The modules that a file imports anywhere, and `package.name` for what may be a module."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def place(module: str) -> str:
    """The part of the house that a module belongs to."""
    parts = module.split(".")
    if parts[:2] == ["kerasrnn", "training"]:  # what `training/` is called in a wheel
        return "training"
    return ".".join(parts[:2]) if parts[0] == "kerasrnn" else parts[0]


def tracked() -> list[Path]:
    git = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if git.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in git.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


# === Packaging ===


def test_every_package_is_listed():
    """Packages are listed by hand, so that data in `zoo/` can be one; none must be forgotten."""
    listed = lines(setup()["options"]["packages"])
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in PACKAGE.rglob("__init__.py")}
    assert set(listed) == found | {"kerasrnn.training", "kerasrnn.zoo_data"}


def test_the_package_loads_its_parts_when_they_are_asked_for():
    program = (
        "import sys, kerasrnn\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)\n"
        "assert 'layers' in dir(kerasrnn) and kerasrnn.layers.LSTM(4).units == 4\n"
        "assert kerasrnn.optimizers.LazyAdam and not hasattr(kerasrnn, 'layer')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_part_of_the_package_can_be_asked_for():
    import kerasrnn

    parts = {
        path.stem
        for path in PACKAGE.iterdir()
        if not path.name.startswith(("_", "py.", "zoo_data"))
    } | {"training"}
    assert set(kerasrnn._MODULES) == parts


def test_the_version_is_plain():
    from kerasrnn import __version__

    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    assert f"[{__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_base_dependencies_are_what_is_imported():
    declared = {name_of(line) for line in lines(setup()["options"]["install_requires"])}
    extras = {
        name_of(line) for text in setup()["options.extras_require"].values() for line in lines(text)
    }
    modules = set().union(*(imported(path) for path in python_files("kerasrnn", "training")))
    roots = {module.split(".")[0] for module in modules}
    outside = roots - set(sys.stdlib_module_names) - {"kerasrnn", "training"}
    used = {DISTRIBUTIONS.get(name, name) for name in outside}
    assert used - extras == declared - NOT_IMPORTED
    assert declared >= NOT_IMPORTED


def requirements_of(extra: str) -> set[str]:
    """The packages that an extra brings, with those of extras that it names."""
    found = set()
    for line in lines(setup()["options.extras_require"][extra]):
        inner = re.fullmatch(r"kerasrnn\[(.*)\]", line)
        if inner:
            found |= set().union(*map(requirements_of, inner[1].split(",")))
        else:
            found.add(name_of(line))
    return found


def test_packages_that_hold_only_data_have_extras_of_their_own():
    from kerasrnn.embeddings import VECTOR_PACKAGES

    extras = setup()["options.extras_require"]
    for package in VECTOR_PACKAGES.values():
        bringing = {extra for extra in extras if package.distribution in requirements_of(extra)}
        assert bringing == {package.extra}, package.distribution


def test_requirements_for_tensorflow_cpu_are_the_same_but_for_tensorflow():
    declared = lines(setup()["options"]["install_requires"])
    expected = [re.sub("^tensorflow(?=>)", "tensorflow-cpu", line) for line in declared]
    assert expected != declared
    text = (ROOT / "requirements-cpu.txt").read_text(encoding="utf-8")
    assert lines(text) == expected


def test_the_licence_of_the_wheel_is_that_of_all_it_carries():
    index = tomllib.loads((ROOT / "zoo" / "index.toml").read_text(encoding="utf-8"))
    metadata = setup()["metadata"]
    expression = set(metadata["license_expression"].split(" AND "))
    assert expression == {"Apache-2.0", *(entry["licence"] for entry in index.values())}
    assert set(lines(metadata["license_files"])) == {"LICENSE", "NOTICE"}
    # Each preset stands in NOTICE, below its licence.
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    heads = {
        "Apache-2.0": "Weights under the Apache License, Version 2.0",
        "CC-BY-4.0": "Weights under the Creative Commons Attribution 4.0",
        "CC-BY-SA-4.0": "Weights under the Creative Commons Attribution-ShareAlike 4.0",
        "PDDL-1.0": "Weights under the Open Data Commons Public Domain",
    }
    sections = re.split("(?=^Weights under )", notice, flags=re.M)
    for name, entry in index.items():
        (section,) = [text for text in sections if re.search(rf"^  {name} ", text, re.M)]
        assert section.startswith(heads[entry["licence"]]), name


def test_the_citation_is_of_this_version():
    from kerasrnn import __version__

    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall("^version: (.*)$", text, re.M) == [__version__]


def test_packages_of_frozen_data_are_pinned():
    """A preset's rows are those of one version of the package that it was made with."""
    from kerasrnn.embeddings import VECTOR_PACKAGES

    for package in VECTOR_PACKAGES.values():
        if package.extra:
            declared = lines(setup()["options.extras_require"][package.extra])
            (pinned,) = [line for line in declared if name_of(line) == package.distribution]
            assert re.fullmatch(r"[\w-]+==[\d.]+", pinned)


def test_the_workflow_runs_the_checks_on_the_versions_that_are_declared():
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert "- run: bash .ci/run\n" in text
    versions = re.findall(r"Python :: (3\.\d+)$", setup()["metadata"]["classifiers"], re.M)
    assert f"python: {json.dumps(versions)}" in text
    assert versions[0] == setup()["options"]["python_requires"].removeprefix(">=")


def test_the_line_length_and_python_version_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    minimum = setup()["options"]["python_requires"].removeprefix(">=")
    assert project["tool"]["mypy"]["python_version"] == minimum
    assert project["tool"]["ruff"]["target-version"] == "py" + minimum.replace(".", "")


# === The order of the house ===


def test_imports_point_down():
    wrong = []
    for path in python_files("kerasrnn", "training", "benchmarks"):
        relative = path.relative_to(ROOT).with_suffix("")
        own = place(".".join(relative.parts))
        if own not in STOREY:
            assert relative.as_posix() == "kerasrnn/__init__", f"{relative} has no storey"
            continue
        for module in imported(path):
            other = place(module)
            if other in STOREY and other != own and STOREY[other] <= STOREY[own]:
                wrong.append(f"{relative} imports {module}")
    assert not wrong


def test_code_for_one_backend_lives_in_the_recurrence():
    """Cells and layers know no backend; `convert` knows PyTorch's modules, whose weights it has."""
    for path in python_files("kerasrnn/cells", "kerasrnn/layers"):
        roots = {module.split(".")[0] for module in imported(path)}
        assert not roots & {"tensorflow", "jax", "torch"}, path


def test_every_storey_is_there():
    missing = []
    for name in STOREY:
        path = ROOT / name.replace(".", "/")
        if not (path.is_dir() or path.with_suffix(".py").is_file()):
            missing.append(name)
    assert not missing


def test_networks_know_no_backend():
    """They stand on layers and cells, and on no text side, no data and no export."""
    for path in python_files("kerasrnn/networks"):
        modules = imported(path)
        roots = {module.split(".")[0] for module in modules}
        assert not roots & {"tensorflow", "jax", "torch"}, path
        below = {place(module) for module in modules} & set(STOREY)
        assert below <= {
            "kerasrnn.networks",
            "kerasrnn.layers",
            "kerasrnn.cells",
            "kerasrnn.recurrence",
        }, path


def test_networks_stand_nowhere_else():
    layer = re.compile(r"^class \w+\((keras\.layers\.Layer|keras\.Model|Network)\):", re.MULTILINE)
    elsewhere = [
        path
        for path in python_files("kerasrnn/zoo", "kerasrnn/serving", "training")
        if layer.search(path.read_text(encoding="utf-8"))
    ]
    assert not elsewhere


KERAS_BASES = re.compile(
    r"keras\.(layers|optimizers|initializers|losses)\.\w+|keras\.Model|LayerOfLayers|Configured|Network"
)

# Classes that others are derived from, and heads that a tagger makes anew when it is loaded.
NOT_BY_ITSELF = {"Cell", "CellLayer", "Configured", "LayerOfLayers", "Network"}
NOT_BY_ITSELF |= {"SequenceDecoder", "Task", "TextLayer", "SoftmaxHead", "CRFHead"}


def test_what_keras_saves_by_name_is_registered():
    """Only classes are, and each public one that Keras saves in a file."""
    wrong = []
    for path in python_files("kerasrnn", "training"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ClassDef | ast.FunctionDef):
                continue
            decorated = any("register_keras" in ast.unparse(d) for d in node.decorator_list)
            bases = [ast.unparse(base) for base in getattr(node, "bases", [])]
            saved = any(map(KERAS_BASES.fullmatch, bases)) and not node.name.startswith("_")
            by_itself = node.name not in NOT_BY_ITSELF
            if (decorated and not bases) or (saved and not decorated and by_itself):
                wrong.append(f"{path.relative_to(ROOT)}: {node.name}")
    assert not wrong


# === Files ===


def test_no_file_is_large():
    large = {path.name: path.stat().st_size for path in tracked()}
    assert not {name: size for name, size in large.items() if size > MAXIMUM_BYTES}


def test_no_file_names_a_place_on_somebodys_machine():
    """A path that exists on one machine only misleads every reader on another."""
    private = re.compile(rb"(?<![\w.])/(?:work|root|home|Users|tmp/\w)[/\w]")
    found = []
    for path in tracked():
        if path.suffix in (".npz", ".png", ".h5", ".gz"):
            continue
        match = private.search(path.read_bytes())
        if match:
            found.append(f"{path.relative_to(ROOT)}: {match[0].decode()}")
    assert not found


def test_no_pickle_is_shipped():
    assert not [path for path in tracked() if path.suffix in (".pkl", ".pickle", ".pt", ".pth")]
