"""Small models of Keras, and files of them as several versions write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from keras import layers


def residual_net(softmax: str = "inside", **keys: Any) -> keras.Model:
    """Stem, a residual block, mean and five classes; 3 channels of 8 by 8 pixels in."""
    keras.utils.set_random_seed(0)
    image = layers.Input((8, 8, 3), name="image", **keys)
    x = layers.Conv2D(4, 3, padding="same", name="stem")(image)
    x = layers.ReLU(name="stem_out")(x)
    y = layers.Conv2D(4, 3, padding="same", activation="relu", name="a")(x)
    y = layers.Conv2D(4, 3, padding="same", name="b")(y)
    x = layers.Add(name="block")([x, y])
    x = layers.Conv2D(6, 3, name="last")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dropout(0.5, name="dropout")(x)
    x = layers.Dense(5, activation="softmax" if softmax == "inside" else None, name="head")(x)
    if softmax == "behind":
        x = layers.Softmax(name="softmax")(x)
    return keras.Model(image, x, name="net")


def nested_net() -> keras.Model:
    """A model in a model in a model; one layer runs twice."""
    keras.utils.set_random_seed(1)
    inner_in = layers.Input((6,))
    inner = keras.Model(inner_in, layers.Dense(6, name="deep")(inner_in), name="inner")
    middle = keras.Sequential([layers.Input((6,)), inner, layers.ReLU(name="relu")], name="middle")
    table = layers.Input((6,))
    twice = layers.Dense(6, activation="tanh", name="twice")
    x = twice(twice(middle(table)))
    return keras.Model(table, layers.Dense(3, name="head")(x), name="outer")


def write_keras_2(path: Path, kernel: np.ndarray, bias: np.ndarray) -> Path:
    """Write a Sequential of one Dense as Keras 2.11 on TensorFlow did."""
    initializer = {"class_name": "GlorotUniform", "config": {"seed": None}}
    dense = {
        "name": "dense",
        "trainable": True,
        "dtype": "float32",
        "units": kernel.shape[1],
        "activation": "softmax",
        "use_bias": True,
        "kernel_initializer": initializer,
        "bias_initializer": {"class_name": "Zeros", "config": {}},
        "kernel_regularizer": None,
        "bias_regularizer": None,
        "activity_regularizer": None,
        "kernel_constraint": None,
        "bias_constraint": None,
    }
    first = {
        "batch_input_shape": [None, kernel.shape[0]],
        "dtype": "float32",
        "sparse": False,
        "ragged": False,
        "name": "dense_input",
    }
    every = [
        {"class_name": "InputLayer", "config": first},
        {"class_name": "Dense", "config": dense},
    ]
    config = {"class_name": "Sequential", "config": {"name": "sequential", "layers": every}}
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = b"2.11.0"
        file.attrs["backend"] = b"tensorflow"
        file.attrs["model_config"] = json.dumps(config).encode()
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"dense"]
        weights.attrs["backend"] = b"tensorflow"
        weights.attrs["keras_version"] = b"2.11.0"
        group = weights.create_group("dense")
        group.attrs["weight_names"] = [b"dense/kernel:0", b"dense/bias:0"]
        group["dense/kernel:0"], group["dense/bias:0"] = kernel, bias
    return path
