r"""Claims of GS about linear students: sections 3 and 5.1, and the synthetic experiment, 6.2.

`GS_LINEAR` holds what a linear student's optimum is, when there is one, and how far a student is
from it; `GS_SYNTHETIC` what the text, Figures 4 to 7 and Table 1 say of the experiment. Rows whose
author is kdtheory are not in the paper: they are derived here, about its objects.

notation: g = softmax(Wᵀx) = student, y = label, s, S = teacher's answers or true probabilities,
I = objects with an answer, λ = trust, T, T_0 = temperature, F = objective of (14) as a loss,
z = logits, v = their velocity along a line, ν = decrement, R = reach, H = entropy in nats
"""

from kdtheory.ledger import certificates
from kdtheory.ledger import laws_classification as laws
from kdtheory.ledger import proofs_classification as proofs
from kdtheory.ledger.evidence import Claim, Evidence

__all__ = ["GS_LINEAR", "GS_SYNTHETIC"]

GS_LINEAR = (
    Claim(
        id="GS-3-teacher",
        source="GS",
        equation="section 3, stage 1",
        statement=(
            "The teacher of stage one is the function of least cross-entropy with the labels."
        ),
        tex=r"f = \arg\min_{f \in \mathcal F^*_{cl}} -\sum_i \sum_k y_i^k \log f_k(x_i^*)",
        verdict="true under a stated reading",
        correction=(
            "The labels overlap: there is no direction of the family along which no loss rises and "
            "some falls. Else the cross-entropy has no minimiser: logits that are free at each "
            "object and separable labels are such cases, and so are labels that only touch."
        ),
        evidence=(
            Evidence(
                "symbolic",
                "whether the loss of a label attains its infimum over its logit",
                proofs.free_teacher_has_a_minimum,
            ),
            Evidence(
                "property",
                "whether a linear fit to separable labels has an optimum",
                laws.labels_alone_have_no_optimum,
            ),
            Evidence(
                "property",
                "whether labels 0, 0, 0, 1, 1, 1 at x = 0, 1, 2, 2, 3, 4 have one",
                laws.touching_labels_have_no_optimum,
            ),
            Evidence(
                "property",
                "linear fits to labels that are not separable",
                laws.labels_that_overlap_have_an_optimum,
                "reading",
            ),
        ),
    ),
    Claim(
        id="GS-14-proper",
        source="GS",
        equation="(14), first three terms, T_0 = 1",
        statement=(
            "Cross-entropy is strictly proper for every K, also for targets with zeros: its excess "
            "over the entropy of the target is KL ≥ 0, and 0 only at g = q."
        ),
        tex=(
            r"-\sum_k q_k \log g_k - H(q) = \sum_k q_k \log\tfrac{q_k}{g_k}"
            r" \ge \sum_{q_k > 0} (q_k - g_k) \ge 0"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "log u < u − 1 unless u = 1",
                proofs.cross_entropy_is_strictly_proper,
            ),
            Evidence("property", "at random targets", laws.divergence_is_never_negative),
        ),
    ),
    Claim(
        id="GS-14-linear",
        source="GS",
        equation="(14), first three terms, T_0 = 1, linear student",
        statement=(
            "The linear student of the first three terms of (14) is the logistic regression of the "
            "labels q, blended on I: Σ x_i g_iᵀ = Σ x_i q_iᵀ. So it is that of each object once "
            "for each class with weight q_ik."
        ),
        tex=(
            r"\nabla_W F = \sum_i x_i (g_i - q_i)^{\mathsf T}, \quad"
            r" q_i = (1 - \lambda 1_I) y_i + \lambda 1_I s_i"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence("symbolic", "gradient in W", proofs.gradient_in_the_weights),
            Evidence(
                "oracle",
                "search among blended and among repeated labels",
                laws.blended_labels_give_the_linear_student,
            ),
        ),
    ),
    Claim(
        id="GS-14-variance",
        source="GS",
        equation="(14), linear student",
        statement=(
            "Along a line in W each term of (14), with no regulariser or with the exact one, has a "
            "variance for its second derivative, at every T_0 and K. So F is convex in W, and what "
            "minimisers share are all differences of logits at objects that count."
        ),
        tex=(
            r"\langle V, \nabla^2 F \, V \rangle"
            r" = \sum_i a_i \operatorname{Var}_{g_i}(V^{\mathsf T} x_i)"
            r" + \tfrac{b_i}{T_0^2} \operatorname{Var}(V^{\mathsf T} x_i), \quad"
            r" a_i = 1 - \lambda 1_I, \ b_i = \lambda 1_I"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence("symbolic", "sums over K classes", proofs.curvature_is_a_variance),
            Evidence(
                "symbolic",
                "integrals over the simplex",
                proofs.curvature_of_answers_is_a_variance,
            ),
        ),
    ),
    Claim(
        id="GS-14-exists",
        source="GS",
        equation="(14), linear student",
        statement=(
            "Labels alone may have no optimal linear student. With λ > 0, positive answers, and "
            "features on I of full column rank, (14) has one whatever the labels, with no "
            "regulariser or with the exact one."
        ),
        tex=(
            r"\max_k v_{ik} - \langle s_i, v_i \rangle > 0 \quad"
            r" \text{unless } v_i = V^{\mathsf T} x_i \text{ is constant over the classes}"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "property",
                "separable labels with answers on as few objects as that",
                laws.teacher_gives_an_optimum,
            ),
        ),
    ),
    Claim(
        id="GS-14-strong",
        source="GS",
        equation="(14), linear student with a ridge",
        statement=(
            "With a ridge l2 > 0 and intercepts that are optimal for W, F is within "
            "‖∇_W F‖²/(2 l2) of its minimum."
        ),
        tex=r"F - \min F \le \frac{\|\nabla_W F\|^2}{2 \, l_2}",
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "a square completed, W of any size",
                proofs.strong_convexity_bounds_the_gap,
            ),
            Evidence("property", "at random W", laws.strong_convexity_bounds_the_gap),
        ),
    ),
    Claim(
        id="GS-14-third",
        source="GS",
        equation="(14), linear student",
        statement=(
            "With no regulariser or with the exact one, the curvature of (14) in any direction "
            "changes along V at a rate of at most R = max_i range(Vᵀx_i) · max(1, 1/T_0) times "
            "itself."
        ),
        tex=(
            r"|\partial_t \partial_r^2 F| \le R \, \partial_r^2 F, \quad"
            r" \partial_t \partial_r^2 \log M = E (w - Ew)^2 (v - Ev)"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "the third derivative is a third moment about the means",
                proofs.third_derivative_is_a_third_moment,
            ),
            Evidence(
                "oracle",
                "third moments over classes, and over the simplex by quadrature",
                laws.third_moment_is_bounded,
            ),
            Evidence(
                "property",
                "curvature at the two ends of a step",
                laws.curvature_changes_at_most_exponentially,
            ),
        ),
    ),
    Claim(
        id="GS-14-gap",
        source="GS",
        equation="(14), linear student",
        statement=(
            "Let ν² = ∇ᵀ(∇²F)⁻¹∇ at some W, and R as before, over all V of unit length in ∇²F. If "
            "νR < 1 there is an optimum, and F is within "
            "[νR + (1 − νR) log(1 − νR)]/R² = ν²/2 + … of it."
        ),
        tex=r"F - \min F \le \frac{\nu R + (1 - \nu R) \log(1 - \nu R)}{R^2}",
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "φ″ ≥ e^{−Rt}, integrated twice, at its least",
                proofs.concordance_bounds_the_gap,
            ),
            Evidence(
                "property", "near the optimum, T_0 cold and hot", laws.concordance_bounds_the_gap
            ),
            Evidence(
                "property",
                "certificates of fits to a coarse tolerance",
                laws.coarse_fits_are_within_their_gap,
            ),
        ),
    ),
)

GS_SYNTHETIC = (
    Claim(
        id="GS-6.2-teacher",
        source="GS",
        equation="section 6.2, generator",
        statement=(
            "The teacher, whose answers are the rows of S, knows the true class probabilities."
        ),
        tex=r"S = \operatorname{softmax}(XW), \quad P(y_i = k \mid x_i) = S_{ik}",
        verdict="true",
        evidence=(
            Evidence(
                "property",
                "labels less S, over the draws of the generator",
                laws.answers_are_the_true_probabilities,
            ),
        ),
    ),
    Claim(
        id="GS-F4",
        source="GS",
        equation="section 6.2, Figure 4",
        statement="All classes are equally likely.",
        tex=r"E_x \operatorname{softmax}(W^{\mathsf T} x)_k = \tfrac1K",
        verdict="true under a stated reading",
        correction=(
            "On average over W, whose columns are exchangeable. For one W, as in the experiment, "
            "they are not: the commonest class has 0.35 to 0.41 in 20 draws."
        ),
        evidence=(
            Evidence(
                "symbolic",
                "W = (w, 0, −w) for any w",
                proofs.symmetric_matrix_gives_equal_classes,
            ),
            Evidence(
                "oracle",
                "quadrature over x for drawn W",
                laws.classes_are_equal_for_one_matrix,
            ),
            Evidence(
                "symbolic",
                "mean over the orders of the columns of W",
                proofs.classes_are_alike_over_permutations,
                "reading",
            ),
            Evidence(
                "property",
                "labels over draws of W",
                laws.classes_are_equal_over_matrices,
                "reading",
            ),
        ),
    ),
    Claim(
        id="GS-F5",
        source="GS",
        equation="section 6.2, Figure 5",
        statement=(
            "The student of the labels alone does not give the true distribution but puts all the "
            "probability in one class."
        ),
        tex=r"\max_k \hat g_k(x) \approx 1, \quad \hat g = \arg\min_{g} -\sum_i \log g_{y_i}(x_i)",
        verdict="false as printed",
        correction=(
            "Its minimiser on 1000 objects is near the truth: KL(S, g) is 0.012 on average over W, "
            "and 16 % of the objects have more than 0.99 in one class, 15 % in S itself. Labels "
            "that are the argmax of S, without noise, would send all there: they leave no optimum."
        ),
        evidence=(
            Evidence(
                "property",
                "share of new objects with more than 0.99 in one class, 40 draws of W",
                laws.labels_put_all_in_one_class,
            ),
            Evidence(
                "property",
                "KL(S, g), and max g against max S",
                laws.student_of_labels_is_near_the_truth,
                "correction",
            ),
            Evidence(
                "symbolic",
                "a label without noise: its loss falls for ever with its logit",
                proofs.noiseless_labels_send_all_to_one_class,
                "correction",
            ),
        ),
    ),
    Claim(
        id="GS-F6",
        source="GS",
        equation="section 6.2, Figure 6",
        statement=(
            "The student of the first three terms of (14), T_0 = 1 and λ = 0.75, is smooth, and "
            "nowhere is all the probability in one class."
        ),
        tex=r"\max_k \hat g_k(x) < 0.99 \text{ for every } x",
        verdict="true under a stated reading",
        correction=(
            "As smooth as the true distribution, which has more than 0.99 in one class at 15 % of "
            "the objects: so has the student, and KL(S, g) is 0.0007."
        ),
        evidence=(
            Evidence(
                "property",
                "share of new objects with more than 0.99 in one class, 40 draws of W",
                laws.some_class_has_almost_all_in_no_object,
            ),
            Evidence(
                "property",
                "KL(S, g), entropies, and that share in S",
                laws.student_of_the_teacher_is_as_smooth_as_the_truth,
                "reading",
            ),
        ),
    ),
    Claim(
        id="GS-6.2-gain",
        source="GS",
        equation="section 6.2, Figures 5 and 6",
        statement=(
            "A teacher that knows the probabilities divides the covariance of the estimate by "
            "1/(1 − λ)² to first order in 1/m. KL(S, g) falls from (n + 1)(K − 1)/(2m) = 0.011 to "
            "a sixteenth of it at λ = 0.75."
        ),
        tex=(
            r"\operatorname{Cov}\big( (1-\lambda) y + \lambda s \mid x \big)"
            r" = (1-\lambda)^2 (\operatorname{diag} s - s s^{\mathsf T})"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence("symbolic", "covariance of the blended label", proofs.blend_has_less_noise),
            Evidence(
                "property",
                "both divergences over 40 draws of W",
                laws.teacher_divides_the_divergence,
            ),
        ),
    ),
    Claim(
        id="GS-F7",
        source="GS",
        equation="section 6.2, Figure 7",
        statement="With growing temperature the distribution over classes becomes more uniform.",
        tex=(
            r"\frac{d}{dT} H\big( \operatorname{softmax}(z/T) \big)"
            r" = \operatorname{Var}_g(z) / T^3"
        ),
        verdict="true under a stated reading",
        correction=(
            "T is the temperature at which given logits are read. It is not so for T_0 in (14), "
            "where λ belongs: for fixed answers s and λ = 1 the student, read at T = 1, becomes "
            "softmax(T_0 log s), sharper with T_0."
        ),
        evidence=(
            Evidence(
                "symbolic",
                "entropy of the trained student against T_0",
                proofs.student_flattens_with_the_training_temperature,
            ),
            Evidence(
                "symbolic",
                "derivative of the entropy in T, any K",
                proofs.entropy_rises_with_the_temperature,
                "reading",
            ),
            Evidence(
                "property",
                "entropy at 30 temperatures",
                laws.entropy_rises_with_the_temperature,
                "reading",
            ),
        ),
    ),
    Claim(
        id="GS-6.2-bayes",
        source="GS",
        equation="section 6.2, n = 10, K = 3",
        statement=(
            "Over x and W the least expected cross-entropy is 0.445562 and the best expected "
            "accuracy 0.813054. Both depend on the centred logits only, whose squared length is a "
            "product of χ² variables with n and K − 1 degrees of freedom."
        ),
        tex=(
            r"E H(S) = \int_0^\infty \frac{\rho^5 K_4(\rho)}{384} \frac{3}{\pi} \int_0^{\pi/3}"
            r" H\big( s(\rho, \theta) \big) \, d\theta \, d\rho"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "oracle",
                "quadrature of the formula against draws from the generator",
                laws.bayes_values_are_those_of_draws,
            ),
            Evidence(
                "symbolic",
                "entropy and largest probability are monotone in ρ and in θ",
                proofs.entropy_and_top_are_monotone,
            ),
            Evidence(
                "certificate",
                "bounds by monotony on the cells of a grid",
                certificates.no_student_beats_bayes,
            ),
        ),
    ),
    Claim(
        id="GS-6.2-errors",
        source="GS",
        equation="section 6.2, cross-entropy and accuracy",
        statement=(
            "Whatever the law, a student's expected cross-entropy is at least log 2 times its "
            "error, and at least 2 log 2 times it if its decisions are those of Bayes. At accuracy "
            "0.831 these are 0.117 and 0.234 nats."
        ),
        tex=(
            r"-E \log g_y \ge \log 2 \cdot P(\arg\max g \ne y), \quad"
            r" H(s) \ge 2 \log 2 \, (1 - \max_k s_k)"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "a label that is not the decision has g_y ≤ ½",
                proofs.any_student_pays_log_two_for_an_error,
            ),
            Evidence(
                "symbolic",
                "entropy against the largest probability, every K",
                proofs.entropy_is_at_least_twice_log_two_of_the_error,
            ),
            Evidence("property", "both at random s and g", laws.errors_cost_log_two),
        ),
    ),
    Claim(
        id="GS-Tab1-synthetic",
        source="GS",
        equation="Table 1, synthetic, without teacher",
        statement=(
            "Under the generator of section 6.2, cross-entropy 0.225 with accuracy 0.831 is what "
            "the student without a teacher has in expectation."
        ),
        tex=r"-E \log \hat g_y = 0.225, \quad P(\arg\max \hat g = y) = 0.831",
        verdict="false as printed",
        correction=(
            "No student has an expected cross-entropy below 0.4456 or an expected accuracy above "
            "0.8131 there. Nor does one W explain the row: in 100 draws of it the least "
            "cross-entropy is 2.2 to 2.5 times the least error, and 0.225 is 1.33 times 0.169."
        ),
        evidence=(
            Evidence(
                "certificate",
                "both numbers against bounds for every student",
                certificates.table_row_is_the_expectation,
            ),
            Evidence(
                "certificate",
                "bounds of the Bayes values",
                certificates.no_student_beats_bayes,
                "correction",
            ),
            Evidence(
                "oracle",
                "the Bayes values to six digits",
                laws.bayes_values_are_those_of_draws,
                "correction",
            ),
            Evidence(
                "oracle",
                "least cross-entropy over least error for drawn W",
                laws.no_matrix_has_the_printed_ratio,
                "correction",
            ),
        ),
    ),
    Claim(
        id="GS-Tab1-improves",
        source="GS",
        equation="section 7, of Table 1",
        statement="The table shows that the student's quality improves with the teacher.",
        tex=r"\mathrm{CE}_{with} < \mathrm{CE}_{without} \text{ or } "
        r"\mathrm{acc}_{with} > \mathrm{acc}_{without}",
        verdict="false as printed",
        correction=(
            "In its synthetic row both printed numbers get worse. By the generator both improve: "
            "over 40 draws of W the expected cross-entropy falls by 0.011, the expected accuracy "
            "rises by 0.005."
        ),
        evidence=(
            Evidence(
                "oracle",
                "the printed synthetic row",
                laws.printed_row_improves,
            ),
            Evidence(
                "property",
                "expectations of both students over 40 draws of W",
                laws.teacher_improves_both_expectations,
                "correction",
            ),
        ),
    ),
)
