"""Look inside a recurrent model: how far its gradient reaches, which gates open, what it keeps.

It works on every Keras model that contains recurrent layers of this package or of Keras, on
TensorFlow.

| Function | What it shows |
|---|---|
| `gradient_flow(model, x, y)` | ‖∂L/∂a<t>‖ for each time step, layer and direction |
| `memory_horizon(model, x)` | the lag at which the gradient has fallen to a hundredth |
| `state_jacobian(layer, x)` | ∂c<t>/∂c<t-k>: singular values, Lyapunov exponent, terms of a step |
| `products_of_jacobians(σ)` | the products ∏ ∂a<t>/∂a<t-1> for chosen largest singular values |
| `gates(model, text_or_array)` | which gate opened at which word |
| `weights_by_gate(model, x, y)` | weights and their gradients by gate; dead and saturated gates |
| `LensCallback(every=…)` | flow and horizon while a model trains |
| `report(model, x, y, path)` | all of it on one page of HTML |
"""

import importlib
from typing import Any

# What is where; a module is loaded when one of its names is first asked for.
_NAMES = {
    "gradient_flow": "flow",
    "GradientFlow": "flow",
    "memory_horizon": "flow",
    "Horizon": "flow",
    "state_jacobian": "jacobian",
    "StateJacobian": "jacobian",
    "scaled_recurrent_kernel": "products",
    "log_norms_of_products": "products",
    "products_of_jacobians": "products",
    "JacobianProducts": "products",
    "gates": "activations",
    "GateActivations": "activations",
    "weights_by_gate": "weights",
    "GateWeights": "weights",
    "LensCallback": "callback",
    "report": "reports",
}

__all__ = list(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'kerasrnn.lens' has no attribute {name!r}")
    return getattr(importlib.import_module(f"kerasrnn.lens.{_NAMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES})
