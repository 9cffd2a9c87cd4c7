"""Small made-up images in the form of FashionMNIST: ten patterns under noise."""

import numpy as np

from kdtheory.datasets import ImageData
from kdtheory.experiments import fashion_mnist, phase_diagram


def made_up_images(n_train: int = 700, n_test: int = 300, seed: int = 0) -> ImageData:
    rng = np.random.default_rng(seed)
    patterns = rng.integers(0, 256, (10, 28, 28))

    def drawn(n):
        labels = rng.integers(0, 10, n)
        noise = rng.integers(0, 256, (n, 28, 28))
        return np.uint8(0.25 * patterns[labels] + 0.75 * noise), labels

    train, test = drawn(n_train), drawn(n_test)
    classes = tuple(f"pattern {k}" for k in range(10))
    return ImageData(*train, *test, classes=classes, digests={"made up": str(seed)})


def shorten() -> None:
    """Fewer kinds of students and fewer epochs: a run takes seconds."""
    phase_diagram.TRUSTS, phase_diagram.TEMPERATURES = (0.5, 1.0), (1.0, 2.0)
    phase_diagram.QUICK_STEPS = (30, 60, 120)
    fashion_mnist.QUICK_EPOCHS, fashion_mnist.QUICK_TEACHER_EPOCHS = 6, 8
