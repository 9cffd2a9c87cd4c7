"""The example of networks in README.md runs as printed."""

import re
from pathlib import Path

import torch

TEXT = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"<!-- example: neural -->\n```python\n(.*?)```", flags=re.DOTALL)


def test_the_example_gives_gradients_and_points_of_the_simplex():
    found = EXAMPLE.search(TEXT)
    assert found
    names = {}
    exec(compile(found[1], "README.md", "exec"), names)
    assert torch.isfinite(names["student"].weight.grad).all()
    assert names["student"].weight.grad.abs().sum() > 0
    answers = names["answers"]
    assert answers.requires_grad
    assert torch.allclose(answers.sum(dim=-1), torch.ones(8))
