r"""Finite networks: the neural cases of the papers, for comparison with the theory, in torch.

* what any loop can use: `DistillationLoss` (14), `DomainDistillationLoss` (MD), the distribution
  `ContinuousCategorical` of (12), `log_normaliser`, `TeacherCache`;
* many students at once: `Fleet`, followed by `fleet_curves`;
* checkpoints for a loop of one's own: `save_checkpoint`, `load_checkpoint`, and what fills them;
* one network: `train`, on any device and any number of processes, in a folder that survives kills;
* the networks of the papers: `gs_teacher`, `gs_student`, `md_teacher`, `md_student`.

It needs the extra ``kdtheory[neural]``. No file is read as a pickle.

notation: λ = trust, T = temperature, s = teacher's answers, I = privileged
"""

from importlib.util import find_spec

if find_spec("torch") is None or find_spec("safetensors") is None:
    msg = "`kdtheory.neural` needs torch and safetensors: pip install 'kdtheory[neural]'"
    raise ModuleNotFoundError(msg, name="torch")

from kdtheory.neural.batches import IGNORED, epoch_order
from kdtheory.neural.checkpoints import (
    Checkpoint,
    digest_of_tensors,
    load_checkpoint,
    random_state,
    restore_model,
    restore_optimizer,
    restore_random_state,
    save_checkpoint,
    tensors_of_model,
    tensors_of_optimizer,
)
from kdtheory.neural.distributions import ContinuousCategorical
from kdtheory.neural.fleet import DivergedError, Fleet, Sample, Scores, Student
from kdtheory.neural.fleet_curves import FleetCurves, fleet_curves
from kdtheory.neural.losses import (
    DistillationLoss,
    DomainDistillationLoss,
    distillation_loss,
    domain_distillation_loss,
)
from kdtheory.neural.models import gs_student, gs_teacher, md_student, md_teacher, n_parameters
from kdtheory.neural.normaliser import (
    covariance_product,
    log_normaliser,
    log_normaliser_and_gradient,
    normaliser_gradient,
)
from kdtheory.neural.teachers import FrozenTeacher, TeacherCache, digest_of_data, teacher_logits
from kdtheory.neural.training import NonFiniteLossError, Training, evaluate, train

__all__ = [
    "IGNORED",
    "Checkpoint",
    "ContinuousCategorical",
    "DistillationLoss",
    "DivergedError",
    "DomainDistillationLoss",
    "Fleet",
    "FleetCurves",
    "FrozenTeacher",
    "NonFiniteLossError",
    "Sample",
    "Scores",
    "Student",
    "TeacherCache",
    "Training",
    "covariance_product",
    "digest_of_data",
    "digest_of_tensors",
    "distillation_loss",
    "domain_distillation_loss",
    "epoch_order",
    "evaluate",
    "fleet_curves",
    "gs_student",
    "gs_teacher",
    "load_checkpoint",
    "log_normaliser",
    "log_normaliser_and_gradient",
    "md_student",
    "md_teacher",
    "n_parameters",
    "normaliser_gradient",
    "random_state",
    "restore_model",
    "restore_optimizer",
    "restore_random_state",
    "save_checkpoint",
    "teacher_logits",
    "tensors_of_model",
    "tensors_of_optimizer",
    "train",
]
