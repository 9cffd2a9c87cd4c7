r"""Claims of MD: *Distillation for a multi-domain sample*.

Section 3.1 is the setting of GS, section 3, in other letters; section 3.2 has the loss that is GS
Theorem 2 for a linear student. Rows whose author is kdtheory are not in the paper. What section 4
reports of a network on FashionMNIST is an observation, and has no row.

notation: f = teacher, g = student, v, z = their logits, T = temperature, R = number of classes,
φ = link from the target domain 𝕏^t to the source domain 𝕏^s, s = f(φ(X)), λ = MD's weight of the
labels, which is 1 − trust
"""

from functools import partial

from kdtheory.ledger import laws
from kdtheory.ledger import laws_regression as regression
from kdtheory.ledger import proofs_likelihood as likelihood
from kdtheory.ledger import proofs_regression as proofs
from kdtheory.ledger.evidence import Claim, Evidence

__all__ = ["MD"]

SETTING = (
    Claim(
        id="MD-cold",
        source="MD",
        equation="section 3.1, property 1 of T",
        statement="As T → 0 one of the classes has probability one.",
        tex=r"\lim_{T \to 0} \operatorname{softmax}(z/T) = e_{\arg\max z}",
        verdict="true under a stated reading",
        correction="The largest logit is unique; at ties the limit is uniform over the largest.",
        evidence=(
            Evidence(
                "symbolic",
                "limit at two equal largest logits",
                likelihood.cold_softmax_at_a_tie_is_one_hot,
            ),
            Evidence(
                "symbolic",
                "limit of every ratio to the largest probability",
                likelihood.cold_softmax_at_a_unique_maximum_is_one_hot,
                "reading",
            ),
        ),
    ),
    Claim(
        id="MD-hot",
        source="MD",
        equation="section 3.1, property 2 of T",
        statement="As T → ∞ all classes become equally likely.",
        tex=r"\lim_{T \to \infty} \operatorname{softmax}(z/T) = (1/R, \dots, 1/R)",
        verdict="true",
        evidence=(
            Evidence(
                "symbolic",
                "limit of every ratio of probabilities",
                likelihood.hot_softmax_is_uniform,
            ),
            Evidence("property", "uniform within 1e-7 at T = 10⁹", laws.hot_softmax_is_uniform),
        ),
    ),
    Claim(
        id="MD-classes",
        source="MD",
        equation="section 3.1, classes of teachers and of students",
        statement=(
            "As sets of functions the teachers 𝔘 and the students 𝔇 are the same, all functions "
            "with positive probabilities; only the structure given to v and z tells them apart. "
            "(𝔘 is printed with the letter g for its functions.)"
        ),
        tex=(
            r"\{ \operatorname{softmax}(v(x)/T) \mid v: \mathbb R^n \to \mathbb R^R \}"
            r" = \{ \operatorname{softmax}(z(x)/T) \mid z: \mathbb R^n \to \mathbb R^R \}"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "logits T log p give the probabilities p",
                proofs.softmax_reaches_every_positive_vector,
            ),
        ),
    ),
    Claim(
        id="MD-3.1",
        source="MD",
        equation="section 3.1, loss",
        statement=(
            "The loss is the cross-entropy of the labels with the student at T = 1 plus that of "
            "the teacher's answers with the student, both at T = T_0."
        ),
        tex=(
            r"\mathcal L = -\sum_i \sum_r y_i^r \log g(x_i)|_{T=1}"
            r" - \sum_i \sum_r f(x_i)|_{T=T_0} \log g(x_i)|_{T=T_0}"
        ),
        verdict="true under a stated reading",
        correction=(
            "f and g in the sums are their components f_r and g_r, as in GS (3). The index r is "
            "not printed; without it the label drops out."
        ),
        evidence=(
            Evidence(
                "symbolic",
                "the first sum as printed, for two labels",
                likelihood.literal_loss_sees_the_label,
            ),
            Evidence(
                "symbolic",
                "the loss by components is entropies plus Kullback–Leibler divergences",
                likelihood.loss_is_entropies_and_divergences,
                "reading",
            ),
        ),
    ),
    Claim(
        id="MD-3.1-balance",
        source="MD",
        equation="section 3.1, loss",
        statement=(
            "The two sums of 3.1 have no weights, so its student at T_0 = 1 is drawn to the middle "
            "between label and teacher."
        ),
        tex=r"T_0 = 1: \quad \hat g = \tfrac12 (y + f)",
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "gradient at T_0 = 1, zero at (y + f)/2",
                likelihood.minimum_at_unit_temperature,
            ),
        ),
    ),
)

DOMAINS = (
    Claim(
        id="MD-power",
        source="MD",
        equation="section 3.2, power of a domain",
        statement="The source domain is larger than the target domain: |𝕏^s| ≫ |𝕏^t|.",
        tex=r"|\mathbb X^s| \gg |\mathbb X^t|",
        verdict="true under a stated reading",
        correction=(
            "Numbers of objects in two finite samples. As spaces of features R^{n_s} and R^{n_t} "
            "have equally many points, whatever the dimensions. In finite samples no link reaches "
            "all of the source's objects."
        ),
        evidence=(
            Evidence(
                "property",
                "whether R² has more points than R: digits interleaved and taken apart",
                regression.interleaved_digits_are_one_to_one,
            ),
            Evidence(
                "oracle",
                "enumeration of links between finite samples",
                regression.no_link_is_onto,
                "reading",
            ),
        ),
    ),
    Claim(
        id="MD-given",
        source="MD",
        equation="section 3.2, what is given",
        statement="Given are a student's model f on 𝕏^s and a link φ from 𝕏^t to 𝕏^s.",
        tex=r"f: \mathbb X^s \to \mathbb Y, \quad \varphi: \mathbb X^t \to \mathbb X^s",
        verdict="true under a stated reading",
        correction=(
            "f is the teacher, as in 3.1. The student g, which is wanted, has the features of the "
            "target; f can answer for them through φ only."
        ),
        evidence=(
            Evidence(
                "symbolic",
                "f on the student's features, when the source has more",
                partial(proofs.teacher_takes, "target features"),
            ),
            Evidence(
                "symbolic",
                "f on the linked features",
                partial(proofs.teacher_takes, "linked features"),
                "reading",
            ),
        ),
    ),
    Claim(
        id="MD-loss",
        source="MD",
        equation="section 3.2, loss",
        statement=(
            "The loss adds to λ‖y − g(X)‖² the square of the distance of g(X) from f × φ(X), with "
            "the weight 1 − λ."
        ),
        tex=(
            r"\mathcal L = \lambda \|\bar y - g(X,w)\|_2^2"
            r" + (1-\lambda) \|g(X,w) - f \times \varphi(X)\|_2^2"
        ),
        verdict="true under a stated reading",
        correction="× is the composition: f ∘ φ, the teacher's answers s = f(φ(X)).",
        evidence=(
            Evidence(
                "symbolic",
                "a product f(X)·φ(X) needs f on the target's features",
                partial(proofs.teacher_takes, "target features"),
            ),
            Evidence(
                "symbolic",
                "the composition needs f on the linked features",
                partial(proofs.teacher_takes, "linked features"),
                "reading",
            ),
        ),
    ),
    Claim(
        id="MD-loss-classes",
        source="MD",
        equation="section 3.2, loss, classification",
        statement="The loss serves classification too, with 𝕐 = {1, …, R}.",
        tex=r"\mathbb Y = \{1, \dots, R\}: \quad \|\bar y - g(X,w)\|_2^2",
        verdict="true under a stated reading",
        correction=(
            "y as one-hot vectors and g, f as probabilities: then the square is least at the true "
            "probabilities. With class numbers the loss depends on how classes are numbered."
        ),
        evidence=(
            Evidence(
                "symbolic",
                "distances between class numbers",
                proofs.class_numbers_are_equally_far_apart,
            ),
            Evidence(
                "symbolic",
                "distances between one-hot vectors",
                proofs.one_hot_labels_are_equally_far_apart,
                "reading",
            ),
            Evidence(
                "symbolic",
                "expected square for one-hot labels",
                proofs.expected_square_is_least_at_the_probabilities,
                "reading",
            ),
        ),
    ),
    Claim(
        id="MD-T2",
        source="MD",
        equation="section 3.2, loss, and GS (15)",
        statement=(
            "The loss is GS (15) with trust 1 − λ, noises 1, I everything and s = f(φ(X)); so for "
            "a linear student Theorem 2 solves it."
        ),
        tex=(
            r"\mathcal L = (15), \quad \lambda_{GS} = 1 - \lambda_{MD}, \ \sigma = \sigma_s = 1,"
            r" \ s = f(\varphi(X))"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence("symbolic", "the two objectives", proofs.loss_of_md_is_the_objective),
            Evidence(
                "oracle",
                "search for the minimum of the loss, link and teacher not linear",
                regression.md_minimum_is_theorem_2,
            ),
        ),
    ),
    Claim(
        id="MD-lambda",
        source="MD",
        equation="section 3.2, λ",
        statement=(
            "MD's λ is the opposite of GS's: it is the weight of the labels. At 1 the teacher is "
            "ignored, at 0 the labels are."
        ),
        tex=r"\lambda_{MD} = 1 - \lambda_{GS}",
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "property",
                "estimates at λ = 0 and λ = 1 against fits to answers and to labels",
                regression.md_weight_is_the_opposite,
            ),
        ),
    ),
    Claim(
        id="MD-closed",
        source="MD",
        equation="section 3.2, linear student",
        statement=(
            "A linear student has a closed form: least squares of λy + (1 − λ)s, which is λ times "
            "the fit to the labels plus 1 − λ times the fit to the answers."
        ),
        tex=(
            r"\hat w = (X^{\mathsf T} X)^{-1} X^{\mathsf T} \big( \lambda y + (1-\lambda) s \big)"
            r" = \lambda \hat w_y + (1-\lambda) \hat w_s"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence("symbolic", "gradient of the loss", proofs.average_is_the_least_squares_fit),
            Evidence(
                "symbolic",
                "the average of the fits solves the same equations",
                proofs.fits_to_labels_and_answers_average,
            ),
            Evidence(
                "property",
                "the average of numpy's fits",
                regression.md_estimate_is_the_average,
            ),
        ),
    ),
    Claim(
        id="MD-shrink",
        source="MD",
        equation="section 3.2, linear student, teacher and link",
        statement=(
            "With a linear teacher xᵀθ and a linear link XL the student is drawn from the fit to "
            "the labels towards Lθ, the teacher's weights carried over."
        ),
        tex=r"\hat w = \lambda (X^{\mathsf T} X)^{-1} X^{\mathsf T} y + (1-\lambda) L \theta",
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "it solves the normal equations",
                proofs.linear_teacher_shrinks_towards_itself,
            ),
            Evidence("property", "numpy's fit and Lθ", regression.linear_teacher_shrinks),
        ),
    ),
    Claim(
        id="MD-choice",
        source="MD",
        equation="section 3.2, choice of λ",
        statement=(
            "The squared leave-one-out error of a linear student is a parabola in λ, as leverages "
            "do not depend on λ: the best λ, which MD leaves open, is a ratio of two sums, brought "
            "into [0, 1]."
        ),
        tex=(
            r"e_i(\lambda) = \lambda e_i(1) + (1-\lambda) e_i(0), \quad"
            r" \hat\lambda = \arg\min_\lambda \sum_i e_i(\lambda)^2"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "second derivative of each error in λ",
                proofs.error_is_linear_in_weight,
            ),
            Evidence(
                "property",
                "third differences of the leave-one-out error",
                regression.md_error_is_a_parabola,
            ),
            Evidence(
                "property",
                "the ratio of kdtheory against all λ of a grid",
                regression.md_choice_is_the_least_error,
            ),
        ),
    ),
)

MD = SETTING + DOMAINS
