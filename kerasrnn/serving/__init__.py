"""SavedModel export: signatures, warm-up requests, and verification without TensorFlow's Python."""

from kerasrnn.serving.command import serving_command
from kerasrnn.serving.export import ExportReport, Signature, export_signatures
from kerasrnn.serving.verify import Case, Verification, VerificationError, verify_savedmodel
from kerasrnn.serving.warmup import write_warmup

__all__ = [
    "Case",
    "ExportReport",
    "Signature",
    "Verification",
    "VerificationError",
    "export_signatures",
    "serving_command",
    "verify_savedmodel",
    "write_warmup",
]
