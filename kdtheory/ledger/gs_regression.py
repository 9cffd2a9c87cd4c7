r"""Claims of GS about regression: section 5.2, Theorem 2 with its proof, and what is said of them.

One row for each numbered equation from (15) to (19) and for each step of the proof. Rows whose
author is kdtheory are not in the paper: they are derived here, about its objects.

notation: g = student, y = labels, s = teacher's answers, I = objects with an answer, Ī = others,
λ = trust, ω, ω_s = weights of the squares of labels and answers (σ², σ_s² in (15)), a = (1−λ)ω and
b = λω_s on I, f = fitted values, A = XᵀΣ⁻¹X
"""

from functools import partial

from kdtheory.ledger import certificates
from kdtheory.ledger import laws_regression as laws
from kdtheory.ledger import proofs_regression as proofs
from kdtheory.ledger.evidence import Claim, Evidence

__all__ = ["GS_REGRESSION"]

ASSUMPTIONS = (
    Claim(
        id="GS-15-student",
        source="GS",
        equation="section 5.2, assumption 2)",
        statement="The student of a regression is a function with values in R^K.",
        tex=r"\mathcal G_{rg} = \{ g \mid g = z(x), \ z: \mathbb R^n \to \mathbb R^K \}",
        verdict="true under a stated reading",
        correction="K = 1: a regression has no classes, and (15) subtracts g(x_i) from a number.",
        evidence=(
            Evidence(
                "symbolic",
                "sizes of y_i and g(x_i) for K ≥ 2",
                partial(proofs.answer_and_student_have_one_size, "K"),
            ),
            Evidence(
                "symbolic",
                "sizes of y_i and g(x_i) for K = 1",
                partial(proofs.answer_and_student_have_one_size, "1"),
                "reading",
            ),
        ),
    ),
    Claim(
        id="GS-15-noise",
        source="GS",
        equation="section 5.2, assumptions 3)–4), against (16) and (17)",
        statement=(
            "N(y | g, σ) of assumption 3) is the law that (16) and (17) give a label outside I: "
            "its variance is 1/σ²."
        ),
        tex=(
            r"i \notin I: \quad \mathcal N(y_i | g(x_i), \sigma)"
            r" = \mathcal N(y_i | w^{\mathsf T} x_i, \Sigma_{ii}), \ \Sigma_{ii}^{-1} = \sigma^2"
        ),
        verdict="true under a stated reading",
        correction=(
            "σ and σ_s are roots of precisions. Were they standard deviations, or variances as "
            "the second arguments of N in (16) and in section 6.2 are, the two laws would agree "
            "at σ = 1 only."
        ),
        evidence=(
            Evidence(
                "symbolic",
                "variances with σ a standard deviation",
                partial(proofs.noises_agree_outside, "standard deviation"),
            ),
            Evidence(
                "symbolic",
                "variances with σ a variance",
                partial(proofs.noises_agree_outside, "variance"),
            ),
            Evidence(
                "symbolic",
                "variances with σ a precision",
                partial(proofs.noises_agree_outside, "precision"),
            ),
            Evidence(
                "symbolic",
                "variances with σ the root of a precision",
                partial(proofs.noises_agree_outside, "root of a precision"),
                "reading",
            ),
        ),
    ),
    Claim(
        id="GS-15",
        source="GS",
        equation="(15)",
        statement=(
            "Under assumptions 1)–4), problem (11) is least squares with weights σ² for labels "
            "outside I, (1 − λ)σ² for labels on I and λσ_s² for answers."
        ),
        tex=(
            r"\hat g = \arg\min_{g} \sum_{i \notin I} \sigma^2 (y_i - g(x_i))^2"
            r" + (1-\lambda) \sum_{i \in I} \sigma^2 (y_i - g(x_i))^2"
            r" + \lambda \sum_{i \in I} \sigma_s^2 (s_i - g(x_i))^2"
        ),
        verdict="true under a stated reading",
        correction=(
            "σ and σ_s are roots of precisions. If they are standard deviations, the weights are "
            "1/σ² and 1/σ_s²; if they are variances, 1/σ and 1/σ_s."
        ),
        evidence=(
            Evidence(
                "symbolic",
                "a constant student, σ a standard deviation",
                partial(proofs.density_gives_the_printed_weights, "standard deviation"),
            ),
            Evidence(
                "symbolic",
                "a constant student, σ a variance",
                partial(proofs.density_gives_the_printed_weights, "variance"),
            ),
            Evidence(
                "certificate",
                "a constant student at rational points, σ a standard deviation",
                certificates.deviations_give_the_printed_weights,
            ),
            Evidence(
                "symbolic",
                "a constant student, σ the root of a precision",
                partial(proofs.density_gives_the_printed_weights, "root of a precision"),
                "reading",
            ),
            Evidence(
                "symbolic",
                "(15) plus twice the log-likelihood (11) is free of every g(x_i)",
                partial(proofs.likelihood_and_objective_differ_by_a_constant, -2),
                "reading",
            ),
        ),
    ),
    Claim(
        id="GS-15-constant",
        source="GS",
        equation="after (15)",
        statement=(
            "(15) is minus the logarithm of the likelihood, up to an additive constant that does "
            "not depend on g."
        ),
        tex=r"(15) = -(11) + \operatorname{const}",
        verdict="true under a stated reading",
        correction=(
            "Up to the factor ½ too, which is left out: (15) is −2 times (11) and a constant. That "
            "constant depends on λ, σ and σ_s."
        ),
        evidence=(
            Evidence(
                "symbolic",
                "slopes in g of (15) plus (11)",
                partial(proofs.likelihood_and_objective_differ_by_a_constant, -1),
            ),
            Evidence(
                "symbolic",
                "slopes in g of (15) plus twice (11)",
                partial(proofs.likelihood_and_objective_differ_by_a_constant, -2),
                "reading",
            ),
        ),
    ),
    Claim(
        id="GS-15-trust",
        source="GS",
        equation="(15), λ",
        statement=(
            "(15) cannot choose λ: for each student it is linear in λ, so its least value over the "
            "students is concave in λ, and least at λ = 0 or λ = 1."
        ),
        tex=r"\min_w J_\lambda(w) \ge (1-\lambda) \min_w J_0(w) + \lambda \min_w J_1(w)",
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "second derivative in λ, every student",
                proofs.objective_is_linear_in_trust,
            ),
            Evidence(
                "property",
                "least value against the chord from λ = 0 to λ = 1",
                laws.least_objective_is_concave_in_trust,
            ),
        ),
    ),
    Claim(
        id="GS-15-rows",
        source="GS",
        equation="(15)",
        statement=(
            "For linear students (15) is weighted least squares in which each object of I stands "
            "twice: with its label and the weight (1 − λ)ω, and with its answer and λω_s."
        ),
        tex=(
            r"(15) = \sum_{j=1}^{m + |I|} v_j (t_j - w^{\mathsf T} x_j)^2, \quad"
            r" (v_j, t_j) \in \{ (\omega, y), ((1-\lambda)\omega, y), (\lambda\omega_s, s) \}"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "the two objectives in blocks",
                proofs.each_object_twice_is_the_objective,
            ),
            Evidence(
                "property",
                "numpy's least squares on these rows",
                laws.each_object_twice_gives_the_estimate,
            ),
        ),
    ),
    Claim(
        id="GS-15-identify",
        source="GS",
        equation="(15), σ, σ_s and λ",
        statement=(
            "If everyone has an answer, λ, σ and σ_s cannot be told apart: only (1 − λ)ω and λω_s "
            "enter. Objects outside I show ω itself, and with it λ and ω_s/ω."
        ),
        tex=(
            r"I = \{1, \dots, m\}: \quad (\lambda, \omega, \omega_s) \sim"
            r" \Big( \mu, \tfrac{1-\lambda}{1-\mu} \omega, \tfrac{\lambda}{\mu} \omega_s \Big)"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "(15) of both triples, for every student",
                proofs.only_two_products_enter,
            ),
            Evidence(
                "symbolic", "λ and ω_s/ω from the three weights", proofs.trust_outside_is_seen
            ),
            Evidence(
                "property",
                "estimate and objective of both triples",
                laws.two_products_give_the_estimate,
            ),
        ),
    ),
)

THEOREM_2 = (
    Claim(
        id="GS-T2",
        source="GS",
        equation="Theorem 2",
        statement=(
            "For linear students the minimisers of (15) are those of linear regression on y″ with "
            "the weights σ′."
        ),
        tex=(
            r"\arg\min_w (15) = \arg\min_w"
            r" (y'' - Xw)^{\mathsf T} \Sigma^{-1} (y'' - Xw)"
        ),
        verdict="true",
        evidence=(
            Evidence(
                "symbolic",
                "the two objectives differ by a constant",
                proofs.blended_squares_have_the_same_minimiser,
            ),
            Evidence(
                "oracle",
                "search for the minimum of (15), which knows neither σ′ nor y″, weights 1/σ²",
                partial(laws.closed_form_is_the_minimum, "precision"),
            ),
            Evidence(
                "oracle",
                "the same search, weights σ² as printed",
                partial(laws.closed_form_is_the_minimum, "printed"),
            ),
            Evidence(
                "property",
                "gradient of (15) at kdtheory's answer",
                laws.gradient_of_the_objective_vanishes,
            ),
        ),
    ),
    Claim(
        id="GS-16",
        source="GS",
        equation="(16)",
        statement=("(15) is equivalent to the model y″ = Xw + ε with ε ~ N(0, Σ)."),
        tex=r"y'' = Xw + \varepsilon, \quad \varepsilon \sim \mathcal N(0, \Sigma)",
        verdict="true under a stated reading",
        correction=(
            "The estimates are the same, the uncertainty is not. y″ is made of y and s: for "
            "independent labels and answers its variance on I is below 1/σ′ for every λ between 0 "
            "and 1, and for a teacher fitted to labels its entries are correlated. Standard errors "
            "from (16) are not those of ŵ."
        ),
        evidence=(
            Evidence(
                "symbolic",
                "variance of y″ on I under assumptions 3)–4) against 1/σ′",
                partial(proofs.target_variance_is_printed, "(11)"),
            ),
            Evidence(
                "certificate",
                "(XᵀΣ⁻¹X)⁻¹ and the variance of ŵ in rational examples",
                certificates.blended_variance_is_that_of_the_estimate,
            ),
            Evidence(
                "oracle",
                "simulated variance of ŵ against (XᵀΣ⁻¹X)⁻¹",
                laws.estimate_has_the_variance_of_16,
            ),
            Evidence(
                "symbolic",
                "minimisers of (15) and estimates of largest likelihood in (16)",
                proofs.blended_squares_have_the_same_minimiser,
                "reading",
            ),
            Evidence(
                "oracle",
                "search for the minimum of (15)",
                partial(laws.closed_form_is_the_minimum, "printed"),
                "reading",
            ),
        ),
    ),
    Claim(
        id="GS-17",
        source="GS",
        equation="(17)",
        statement=(
            "Σ exists: every σ′ is positive. y″ = Σy′ is the label outside I, and on I the average "
            "of label and answer with weights (1 − λ)σ² and λσ_s²."
        ),
        tex=(
            r"\sigma'_i = (1-\lambda)\sigma^2 + \lambda\sigma_s^2, \quad"
            r" y''_i = \frac{(1-\lambda)\sigma^2 y_i + \lambda\sigma_s^2 s_i}{\sigma'_i},"
            r" \quad i \in I"
        ),
        verdict="true",
        evidence=(
            Evidence("symbolic", "sign of σ′", proofs.weights_are_positive),
            Evidence("symbolic", "Σy′ in blocks", proofs.targets_are_averages),
        ),
    ),
    Claim(
        id="GS-T2-S1",
        source="GS",
        equation="Theorem 2, proof, first formula",
        statement="For linear students (15) is a sum of three quadratic forms.",
        tex=(
            r"\sigma^2 \|y_{\bar I} - X_{\bar I} w\|^2 + \sigma^2 (1-\lambda) \|y_I - X_I w\|^2"
            r" + \sigma_s^2 \lambda \|s_I - X_I w\|^2"
        ),
        verdict="true",
        evidence=(Evidence("symbolic", "the sums written out", proofs.matrix_form_is_the_sum),),
    ),
    Claim(
        id="GS-T2-S2",
        source="GS",
        equation="Theorem 2, proof, second formula",
        statement=(
            "With brackets opened and terms free of w left out, the minimiser is that of "
            "σ²(wᵀXᵀXw − 2yᵀXw) and its like."
        ),
        tex=(
            r"\sigma^2 (w^{\mathsf T} X_{\bar I}^{\mathsf T} X_{\bar I} w"
            r" - 2 y_{\bar I}^{\mathsf T} X_{\bar I} w) + \dots"
        ),
        verdict="true",
        evidence=(
            Evidence(
                "symbolic",
                "what is left out: σ²yᵀy and its like",
                proofs.dropped_terms_are_constant,
            ),
        ),
    ),
    Claim(
        id="GS-18",
        source="GS",
        equation="(18)",
        statement=(
            "The gradient is 0 where "
            "(σ²X_{Ī}ᵀX_{Ī} + (1−λ)σ²X_IᵀX_I + λσ_s²X_IᵀX_I)w equals "
            "2σ²X_{Ī}ᵀy_{Ī} + 2(1−λ)σ²X_Iᵀy_I + 2λσ_s²X_Iᵀs_I."
        ),
        tex=(
            r"(\sigma^2 X_{\bar I}^{\mathsf T} X_{\bar I}"
            r" + (1-\lambda) \sigma^2 X_I^{\mathsf T} X_I"
            r" + \lambda \sigma_s^2 X_I^{\mathsf T} X_I) w"
            r" = 2 \sigma^2 X_{\bar I}^{\mathsf T} y_{\bar I}"
            r" + 2 (1-\lambda) \sigma^2 X_I^{\mathsf T} y_I"
            r" + 2 \lambda \sigma_s^2 X_I^{\mathsf T} s_I"
        ),
        verdict="false as printed",
        correction="The factor 2 belongs on both sides or on neither.",
        evidence=(
            Evidence(
                "symbolic",
                "twice the left less the right side against the gradient of (15)",
                partial(proofs.normal_equations_are_the_gradient, 2),
            ),
            Evidence(
                "symbolic",
                "the same without the 2 on the right",
                partial(proofs.normal_equations_are_the_gradient, 1),
                "correction",
            ),
        ),
    ),
    Claim(
        id="GS-19",
        source="GS",
        equation="(19), first equality",
        statement="The matrix on the left of (18) is XᵀΣ⁻¹X.",
        tex=(
            r"\sigma^2 X_{\bar I}^{\mathsf T} X_{\bar I}"
            r" + (1-\lambda) \sigma^2 X_I^{\mathsf T} X_I + \lambda \sigma_s^2 X_I^{\mathsf T} X_I"
            r" = X^{\mathsf T} \Sigma^{-1} X"
        ),
        verdict="true",
        evidence=(Evidence("symbolic", "both sides in blocks", proofs.first_equality_of_19),),
    ),
    Claim(
        id="GS-19-2",
        source="GS",
        equation="(19), second equality",
        statement="The right side of (18) is 2Xy′.",
        tex=(
            r"2 \sigma^2 X_{\bar I}^{\mathsf T} y_{\bar I}"
            r" + 2 (1-\lambda) \sigma^2 X_I^{\mathsf T} y_I"
            r" + 2 \lambda \sigma_s^2 X_I^{\mathsf T} s_I"
            r" = 2 X y'"
        ),
        verdict="false as printed",
        correction=(
            "It is 2Xᵀy′; Xy′ exists for m = n only and is then another vector. The 2, which "
            "should not be in (18), is carried over."
        ),
        evidence=(
            Evidence("symbolic", "sizes of X and y′", proofs.second_equality_of_19_conforms),
            Evidence(
                "symbolic",
                "Xy′ and Xᵀy′ for m = n",
                partial(proofs.second_equality_of_19, transposed=False),
            ),
            Evidence(
                "symbolic",
                "the right side of (18) and 2Xᵀy′",
                partial(proofs.second_equality_of_19, transposed=True),
                "correction",
            ),
        ),
    ),
    Claim(
        id="GS-T2-formula",
        source="GS",
        equation="Theorem 2, proof, last formula",
        statement="The solution, of (15) as of (16), is 2(XᵀΣ⁻¹X)⁻¹XΣ⁻¹y″.",
        tex=r"w = 2 (X^{\mathsf T} \Sigma^{-1} X)^{-1} X \Sigma^{-1} y''",
        verdict="false as printed",
        correction=(
            "ŵ = (XᵀΣ⁻¹X)⁻¹XᵀΣ⁻¹y″. XΣ⁻¹ exists for m = n only; with Xᵀ in its place, the stray 2 "
            "makes the solution twice too large."
        ),
        evidence=(
            Evidence("symbolic", "sizes of X and Σ⁻¹", proofs.printed_formula_conforms),
            Evidence(
                "symbolic",
                "with Xᵀ: the normal equations at the printed solution",
                partial(proofs.solution_of_the_normal_equations, 2),
            ),
            Evidence(
                "certificate",
                "with Xᵀ: printed solution and minimiser in rational examples",
                certificates.printed_formula_is_the_minimiser,
            ),
            Evidence(
                "certificate",
                "as it stands, for m = n = 2, with the 2 and without",
                certificates.untransposed_formula_is_the_minimiser,
            ),
            Evidence(
                "oracle",
                "with Xᵀ: search for the minimum of (15)",
                laws.printed_formula_is_the_minimum,
            ),
            Evidence(
                "symbolic",
                "the normal equations at the corrected solution",
                partial(proofs.solution_of_the_normal_equations, 1),
                "correction",
            ),
            Evidence(
                "oracle",
                "search for the minimum of (15) against the corrected solution",
                partial(laws.closed_form_is_the_minimum, "printed"),
                "correction",
            ),
        ),
    ),
    Claim(
        id="GS-T2-reduce",
        source="GS",
        equation="after the proof, sections 6 and 7",
        statement=(
            "Learning a regression from a teacher reduces to the classical problem of linear "
            "regression, without a teacher."
        ),
        tex=r"(15) \to \min_w \ \iff \ \sum_i \sigma'_i (y''_i - w^{\mathsf T} x_i)^2 \to \min_w",
        verdict="true",
        evidence=(
            Evidence(
                "symbolic",
                "each object's squares are one square of y″ and a constant",
                proofs.square_completes_for_each_object,
            ),
            Evidence(
                "property",
                "numpy's least squares of rows with labels and answers",
                laws.each_object_twice_gives_the_estimate,
            ),
        ),
    ),
    Claim(
        id="GS-T2-sample",
        source="GS",
        equation="section 7",
        statement=(
            "A linear regression with a teacher is equivalent to another sample and other "
            "assumptions about the distribution of the true answers."
        ),
        tex=r"y_i \mapsto y''_i, \quad \mathcal N(w^{\mathsf T} x_i, \sigma)"
        r" \mapsto \mathcal N(w^{\mathsf T} x_i, 1/\sigma'_i)",
        verdict="true under a stated reading",
        correction=(
            "For the estimate. N(wᵀx_i, 1/σ′_i) is not the distribution of y″_i, nor of the true "
            "answers: those keep theirs."
        ),
        evidence=(
            Evidence(
                "symbolic",
                "variance of y″ on I under assumptions 3)–4)",
                partial(proofs.target_variance_is_printed, "(11)"),
            ),
            Evidence(
                "symbolic",
                "each object's squares are one square of y″ and a constant",
                proofs.square_completes_for_each_object,
                "reading",
            ),
        ),
    ),
)

UNCERTAINTY = (
    Claim(
        id="GS-16-variance",
        source="GS",
        equation="(16), corrected",
        statement=(
            "For independent labels and answers ŵ has the variance A⁻¹Xᵀdiag(a²/ω + b²/ω_s)XA⁻¹. "
            "Answers that covary with labels, C = Cov(y_I, s_I), add ab(C + Cᵀ) on I."
        ),
        tex=(
            r"\operatorname{Var} \hat w = A^{-1} X^{\mathsf T}"
            r" \operatorname{diag}(a^2 / \omega + b^2 / \omega_s) X A^{-1}, \quad"
            r" A = X^{\mathsf T} \Sigma^{-1} X"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "expectation of the square of the noise of ŵ",
                proofs.estimate_has_the_sandwich_variance,
            ),
            Evidence(
                "oracle",
                "simulation, answers independent of the labels and fitted to them",
                laws.estimate_has_the_variance_of_the_sandwich,
            ),
        ),
    ),
    Claim(
        id="GS-16-excess",
        source="GS",
        equation="(16), corrected",
        statement=(
            "For independent labels and answers (16) overstates the variance of ŵ, at every λ "
            "between 0 and 1: with I everything, λ = ½ and equal noises, twice."
        ),
        tex=(
            r"A^{-1} - \operatorname{Var} \hat w = \lambda (1-\lambda) (\omega + \omega_s)"
            r" A^{-1} X_I^{\mathsf T} X_I A^{-1} \succeq 0"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence("symbolic", "the difference is a square", proofs.printed_variance_exceeds),
            Evidence(
                "certificate",
                "both variances in rational examples",
                certificates.blended_variance_is_too_large,
            ),
        ),
    ),
    Claim(
        id="GS-16-joint",
        source="GS",
        equation="(10) and (16)",
        statement=(
            "With the weights 1 and 1 of the likelihood (10) in place of 1 − λ and λ, y″ has the "
            "variance 1/σ′ for independent labels and answers. It is the λ put in by hand that "
            "makes (16) wrong about uncertainty."
        ),
        tex=(
            r"y''_i = \frac{\omega y_i + \omega_s s_i}{\omega + \omega_s}: \quad"
            r" \operatorname{Var} y''_i = \frac{1}{\omega + \omega_s}, \quad i \in I"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "variance of y″ on I with the weights of (10)",
                partial(proofs.target_variance_is_printed, "(10)"),
            ),
        ),
    ),
    Claim(
        id="GS-16-scale",
        source="GS",
        equation="(16), I everything",
        statement=(
            "If everyone has an answer, and labels and answers are independent between objects, "
            "(16) is right up to one factor, so standard errors whose scale comes from the "
            "residuals are right. With objects outside I, and labels independent of answers, no "
            "one factor does at any λ between 0 and 1."
        ),
        tex=(
            r"\sigma'_i \operatorname{Var} y''_i ="
            r" \frac{(1-\lambda)^2 \omega + \lambda^2 \omega_s}"
            r"{(1-\lambda)\omega + \lambda\omega_s}"
            r" < 1, \quad i \in I"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "σ′ times the variance of y″, on I and outside",
                proofs.weighted_variance_is_one_number,
            ),
            Evidence(
                "oracle",
                "simulated variance of ŵ against the mean of the classical one",
                laws.scale_from_residuals_is_right_for_everyone,
            ),
        ),
    ),
)

CONSEQUENCES = (
    Claim(
        id="GS-T2-any",
        source="GS",
        equation="Theorem 2, hypothesis",
        statement=(
            "Students need not be linear, nor noises equal: object by object the squares of (15) "
            "are one square of y″ and a constant."
        ),
        tex=(r"a (y - g)^2 + b (s - g)^2 = (a + b) (y'' - g)^2 + \frac{ab}{a + b} (y - s)^2"),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence("symbolic", "completing the square", proofs.square_completes_for_each_object),
        ),
    ),
    Claim(
        id="GS-T2-rank",
        source="GS",
        equation="Theorem 2, (XᵀΣ⁻¹X)⁻¹",
        statement=(
            "Theorem 2 holds for dependent columns too: the minimisers of (15) are the solutions "
            "of XᵀΣ⁻¹Xw = XᵀΣ⁻¹y″, one or many, with the same fitted values."
        ),
        tex=(
            r"\arg\min_w (15) = \{ w : X^{\mathsf T} \Sigma^{-1} X w ="
            r" X^{\mathsf T} \Sigma^{-1} y'' \}"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "change of (15) along any d: linear part",
                partial(proofs.normal_equations_are_the_gradient, 1),
            ),
            Evidence(
                "symbolic",
                "change of (15) along any d: quadratic part",
                proofs.quadratic_part_is_a_sum_of_squares,
            ),
            Evidence(
                "property",
                "gradient and fitted values with dependent columns",
                laws.minimisers_are_those_of_any_rank,
            ),
        ),
    ),
    Claim(
        id="GS-T2-penalty",
        source="GS",
        equation="Theorem 2",
        statement=(
            "An intercept and a ridge on the weights carry over: the same term is added to both "
            "objectives."
        ),
        tex=(
            r"\hat w = (X^{\mathsf T} \Sigma^{-1} X + \rho R)^{-1} X^{\mathsf T} \Sigma^{-1} y'',"
            r" \quad R = \operatorname{diag}(0, 1, \dots, 1)"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic", "gradient with a quadratic penalty", proofs.penalty_is_carried_over
            ),
            Evidence(
                "oracle",
                "search for the minimum over intercept and weights",
                laws.penalty_and_intercept_are_carried_over,
            ),
        ),
    ),
    Claim(
        id="GS-T2-scale",
        source="GS",
        equation="(15), σ and σ_s",
        statement="Noises scaled alike move nothing: only the ratio of ω and ω_s enters ŵ.",
        tex=r"\hat w(k\omega, k\omega_s) = \hat w(\omega, \omega_s)",
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence("symbolic", "both sides of the normal equations", proofs.noise_scale_cancels),
            Evidence(
                "property", "estimates with kσ and kσ_s", laws.common_noise_scale_changes_nothing
            ),
        ),
    ),
    Claim(
        id="GS-T2-labels",
        source="GS",
        equation="(15), λ = 0 or I empty",
        statement="With λ = 0, or nobody in I, ŵ is least squares of the labels.",
        tex=r"\lambda = 0 \ \text{or} \ I = \varnothing: \quad (15) = \omega \|y - Xw\|^2",
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence("symbolic", "(15) at λ = 0", proofs.no_trust_leaves_the_labels),
            Evidence("property", "numpy's least squares", laws.no_trust_is_least_squares),
        ),
    ),
    Claim(
        id="GS-T2-loo",
        source="GS",
        equation="Theorem 2, leave-one-out",
        statement=(
            "The error at label i without object i is y_i − f_i + h_i(y″_i − f_i)/(1 − h_i), from "
            "one fit, with a penalty or without."
        ),
        tex=(
            r"e_i = y_i - f_i + \frac{h_i}{1 - h_i} (y''_i - f_i), \quad"
            r" h_i = \sigma'_i x_i^{\mathsf T} A^{-1} x_i"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "the normal equations without object i",
                proofs.leave_one_out_is_a_closed_form,
            ),
            Evidence("property", "fits without object i", laws.leave_one_out_is_refitting),
        ),
    ),
    Claim(
        id="GS-T2-gradient",
        source="GS",
        equation="Theorem 2, λ",
        statement="The estimate moves with λ by A⁻¹X_Iᵀ[ω_s(s − f) − ω(y − f)].",
        tex=(
            r"\frac{d \hat w}{d \lambda} = A^{-1} X_I^{\mathsf T}"
            r" [\omega_s (s - f) - \omega (y - f)]_I"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence("symbolic", "derivative of the normal equations", proofs.gradient_in_trust),
            Evidence(
                "property", "differences of estimates", laws.gradient_in_trust_is_the_difference
            ),
        ),
    ),
    Claim(
        id="GS-T2-noop",
        source="GS",
        equation="Theorem 2, tower property",
        statement=(
            "A teacher that is least squares on features which contain the student's, fitted to "
            "the rows of I with the weights ω and no penalty, changes nothing at any λ, if the "
            "noises are equal, ω_s = ω, or I is everything and ω_s = kω."
        ),
        tex=(
            r"X_I = ZM, \ Z^{\mathsf T} \Omega (y_I - s_I) = 0 \implies"
            r" \hat w(\lambda) = \hat w(0)"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "normal equations at the fit to the labels, equal noises",
                partial(proofs.teacher_on_its_own_span_is_no_op, "equal noises"),
            ),
            Evidence(
                "symbolic",
                "the same with I everything",
                partial(proofs.teacher_on_its_own_span_is_no_op, "everyone"),
            ),
            Evidence(
                "property",
                "estimates with and without the teacher, equal noises, and `no_op`",
                partial(laws.teacher_on_its_own_span_is_no_op, "equal noises"),
            ),
            Evidence(
                "property",
                "the same with I everything and ω_s = kω",
                partial(laws.teacher_on_its_own_span_is_no_op, "everyone"),
            ),
        ),
    ),
    Claim(
        id="GS-T2-noop-needs",
        source="GS",
        equation="Theorem 2, tower property",
        statement=(
            "Each condition of that is needed: a teacher with other rows, other weights, a penalty "
            "or other features, or other noises while some are outside I, moves the student."
        ),
        tex=r"\text{a condition fails} \implies \hat w(\lambda) \ne \hat w(0) \ \text{in general}",
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "property",
                "estimates with one condition broken",
                laws.teacher_off_the_conditions_moves_the_student,
            ),
        ),
    ),
    Claim(
        id="GS-T2-noop-once",
        source="GS",
        equation="Theorem 2, λ",
        statement=(
            "A teacher that does not move ŵ at one λ, to first order, does not move it at all: the "
            "normal equations are linear in λ."
        ),
        tex=(
            r"\frac{d \hat w}{d \lambda} \Big|_{\lambda_0} = 0 \implies"
            r" \hat w(\lambda) = \hat w(\lambda_0) \ \forall \lambda"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "second derivative of the normal equations in λ",
                proofs.slope_in_trust_decides_once,
            ),
        ),
    ),
)

GS_REGRESSION = ASSUMPTIONS + THEOREM_2 + UNCERTAINTY + CONSEQUENCES
