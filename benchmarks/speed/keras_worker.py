"""The paper's networks in Keras, run in the environment that `keras_peer` makes, and only there.

It reads lines ``["train", 64]`` from stdin and answers each with a line of JSON. The paper does not
give its rates of dropout; those are this program's.

References
----------
.. [1] K. Werblinski, W. Garbarek, J. Kuczkowiak, "Neural Identities", 2019, section 3.2.
"""

# mypy: ignore-errors
from __future__ import annotations

import json
import sys

import keras
import numpy as np
import tensorflow as tf
from keras import layers

Z, SLOPE = 400, 0.2


def generator():
    """The first table of [1]_."""
    return keras.Sequential(
        [
            keras.Input((Z,)),
            *(layers.Dense(14 * 14 * 256), layers.BatchNormalization(), layers.LeakyReLU(SLOPE)),
            *(layers.Reshape((14, 14, 256)), layers.Dropout(0.0)),
            *(layers.UpSampling2D(), *transposed(128)),
            *(layers.UpSampling2D(), *transposed(64)),
            *transposed(32),
            layers.Conv2DTranspose(3, 5, padding="same"),
            layers.Activation("sigmoid"),
            layers.Rescaling(1.0, -0.5),
        ]
    )


def transposed(width):
    yield layers.Conv2DTranspose(width, 5, padding="same")
    yield layers.BatchNormalization()
    yield layers.LeakyReLU(SLOPE)


def discriminator():
    """The second table of [1]_."""
    stack = [keras.Input((56, 56, 3))]
    for width, stride in ((64, 2), (128, 2), (256, 2), (1024, 1)):
        stack += [layers.Conv2D(width, 5, strides=stride, padding="same")]
        stack += [layers.LeakyReLU(SLOPE), layers.Dropout(0.25)]
    return keras.Sequential([*stack, layers.Flatten(), layers.Dense(1, activation="sigmoid")])


class Paper:
    """The models G, DM and AM of [1]_, and what is asked of them."""

    def __init__(self):
        self.g, self.d = generator(), discriminator()
        self.counts = [self.g.count_params(), self.d.count_params()]
        self.dm = keras.Sequential([keras.Input((56, 56, 3)), self.d])
        self.dm.compile(keras.optimizers.Adam(4e-4, beta_1=0.5), "binary_crossentropy")
        self.rng = np.random.default_rng(0)
        self.am = keras.Sequential([keras.Input((Z,)), self.g, self.d])
        self.am.compile(keras.optimizers.Adam(2e-4, beta_1=0.5), "binary_crossentropy")

    def check(self, count):
        """That DM's step changes D, and AM's only G."""
        before, _ = self.numbers(), self.train_d(count)
        between, _ = self.numbers(), self.train_g(count)
        after = self.numbers()
        assert np.array_equal(before[0], between[0]) and not np.array_equal(before[1], between[1])
        assert not np.array_equal(between[0], after[0]) and np.array_equal(between[1], after[1])
        return 1.0

    def numbers(self):
        """The first weights of G and of D."""
        return [network.weights[0].numpy() for network in (self.g, self.d)]

    def noise(self, count):
        return self.rng.normal(0, 0.5, (count, Z)).astype(np.float32)

    def train_d(self, count):
        # Keras looks at this when it first sees a size of batch.
        self.d.trainable = True
        real = self.rng.random((count, 56, 56, 3), np.float32) - 0.5
        both = np.concatenate([real, self.g.predict_on_batch(self.noise(count))])
        labels = np.repeat([[1.0], [0.0]], count, axis=0)
        return self.dm.train_on_batch(both, labels)

    def train_g(self, count):
        self.d.trainable = False
        return self.am.train_on_batch(self.noise(count), np.ones((count, 1)))

    def train(self, count):
        self.train_d(count)
        return self.train_g(count)

    def draw(self, count):
        return self.g.predict_on_batch(self.noise(count)).mean()

    @tf.function
    def _gradient(self, z, faces):
        with tf.GradientTape() as tape:
            tape.watch(z)
            loss = tf.reduce_sum(tf.square(faces - self.g(z, training=False)))
        return tape.gradient(loss, z)

    def gradient(self, count):
        faces = tf.zeros((count, 56, 56, 3))
        return self._gradient(tf.constant(self.noise(count)), faces).numpy().mean()


def say(**values):
    print(json.dumps(values), flush=True)


def main():
    threads = int(sys.argv[1])
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    paper = Paper()
    say(counts=paper.counts, versions={"keras": keras.__version__, "tensorflow": tf.__version__})
    for line in sys.stdin:
        work, count = json.loads(line)
        say(value=float(np.mean(getattr(paper, work)(count))))


main()
