"""SavedModels run by TensorFlow's C library, without XLA and Python, as TF Serving does."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

# NumPy would load it when first used: too late, among the global symbols of TensorFlow's library.
import numpy.random

import benchmarks
from benchmarks.cases import Case

SIGNATURE = "serving_default"


class ServedModels:
    """SavedModels, each in a session of the C library.

    The mode of a runner is the SavedModel's folder. The number of threads is that of the
    environment variables `TF_NUM_INTRAOP_THREADS` and `TF_NUM_INTEROP_THREADS`.
    """

    def __init__(self) -> None:
        self._c_api = _load_c_api()
        self._library = self._c_api.open_library()

    def modes(self) -> tuple[str, ...]:
        return ()

    def versions(self) -> dict[str, str]:
        return {"libtensorflow": self._library.TF_Version().decode()}

    def warm_up(self, mode: str) -> None:
        return None

    def runner(self, case: Case, mode: str) -> ServedRunner:
        return ServedRunner(self._c_api.SavedModel(mode, self._library), case)

    def export(self, case: Case, path: str) -> None:
        raise NotImplementedError("Models are exported by the process that holds their library.")


class ServedRunner:
    """One SavedModel with a request at hand."""

    def __init__(self, model: Any, case: Case) -> None:
        self._model = model
        (name,) = model.signatures[SIGNATURE]["inputs"]
        self._request = {name: case.data().inputs}

    def __call__(self) -> Any:
        return self._model.run(SIGNATURE, self._request)

    def results(self) -> dict[str, np.ndarray]:
        (output,) = self().values()
        return {"output": output}


def _load_c_api() -> ModuleType:
    """`kerasrnn/serving/c_api.py` as the script it is: the package would import TensorFlow."""
    root = Path(benchmarks.__file__).parents[1]
    path = root / "kerasrnn" / "serving" / "c_api.py"
    spec = importlib.util.spec_from_file_location("c_api", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
