"""For every test and doctest: what Keras runs on, told before it is imported."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")
