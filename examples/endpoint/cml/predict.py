"""The predict script of a CML model endpoint: CML calls ``predict`` for each request (docs/serving.md)."""

import os
import sys
from pathlib import Path

from studio.core.errors import StudioError
from studio.jobs.serving.predicting import from_environment

try:  # runtimes with a kernel of their own find the function by this mark; others know none
    from cml.models_v1 import cml_model
except ImportError:

    def cml_model(function):
        return function


try:
    predictor = from_environment(os.environ, Path.cwd())
    print(predictor.words, flush=True)
except StudioError as error:
    sys.exit(f"error: {error.message}\n  {error.hint}".rstrip())


@cml_model
def predict(args):
    """The answer to {"prompt": "…"}."""
    return predictor.predict(args)
