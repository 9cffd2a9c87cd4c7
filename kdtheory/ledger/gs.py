r"""Claims of GS: A. V. Grabovoy and V. V. Strijov, *Probabilistic justification of distillation*.

One row for each numbered equation from (3) to (14), for each step of the proof of Theorem 1, and
for what the text of sections 3 to 5.1 says of them; section 5.2 is in `gs_regression`. Rows whose
author is kdtheory are not in the paper: they are derived here, about its objects.

notation: g = student's class probabilities, z = its logits, f or s = teacher's answer on the
simplex S_K, y = label, I = objects with a teacher's answer, λ = trust, T, T_0 = temperature,
Z = ∫ ∏ g_k^{s_k} ds over the simplex, μ = mean of (12), ds = ds_1 … ds_{K−1} unless said otherwise
"""

from functools import partial

from kdtheory.ledger import certificates, laws
from kdtheory.ledger import proofs_likelihood as likelihood
from kdtheory.ledger import proofs_normaliser as normaliser
from kdtheory.ledger import proofs_objective as objective
from kdtheory.ledger.evidence import Claim, Evidence

__all__ = ["GS"]

TEMPERATURE_AND_LOSS = (
    Claim(
        id="GS-cold",
        source="GS",
        equation="section 3, property 1 of T",
        statement="As T → 0 the softmax becomes a one-hot vector.",
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
            Evidence(
                "property",
                "one-hot at T = 1/1000 for logits with one maximum",
                laws.cold_softmax_is_one_hot,
                "reading",
            ),
            Evidence(
                "property",
                "uniform over the maxima at T = 1/1000 for logits with ties",
                laws.cold_softmax_is_uniform_over_maxima,
                "reading",
            ),
        ),
    ),
    Claim(
        id="GS-hot",
        source="GS",
        equation="section 3, property 2 of T",
        statement="As T → ∞ all classes become equally likely.",
        tex=r"\lim_{T \to \infty} \operatorname{softmax}(z/T) = (1/K, \dots, 1/K)",
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
        id="GS-3",
        source="GS",
        equation="(3)",
        statement=(
            "The distillation loss is the cross-entropy of the labels with the student at T = 1 "
            "plus that of the teacher's answers with the student at T = T_0."
        ),
        tex=(
            r"\mathcal L(g) = -\sum_i \sum_k y_i^k \log g(x_i)|_{T=1}"
            r" - \sum_i \sum_k f(x_i)|_{T=T_0} \log g(x_i)|_{T=T_0}"
        ),
        verdict="true under a stated reading",
        correction=(
            "f and g in the sums are their components f_k and g_k. The index k is not printed; "
            "without it the label drops out."
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
        id="GS-3-scale",
        source="GS",
        equation="(3)",
        statement=(
            "The gradient of the teacher's term of (3) falls like 1/T_0², so at high temperature "
            "(3) forgets the teacher; Hinton's factor T_0² is absent."
        ),
        tex=(
            r"T^2 \, \partial_{z_k} \Big( -\sum_j f_j \log g_j \Big)"
            r" \to \tfrac1K (z_k - \bar z - v_k + \bar v), \quad T \to \infty"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "gradient, and the limit of T² times it",
                likelihood.soft_gradient_falls_as_inverse_square,
            ),
        ),
    ),
    Claim(
        id="GS-4",
        source="GS",
        equation="(4)",
        statement=(
            "The student is a minimiser of (3). There is one, for logits that are free at each "
            "object and for linear students."
        ),
        tex=r"\hat g = \arg\min_{g \in \mathcal G_{cl}} \mathcal L(g)",
        verdict="true",
        evidence=(
            Evidence(
                "property",
                "the loss grows without bound along every direction that changes the student",
                laws.loss_rises_in_every_direction,
            ),
            Evidence(
                "symbolic",
                "gradient at T_0 = 1, zero at (y + f)/2",
                likelihood.minimum_at_unit_temperature,
            ),
            Evidence(
                "oracle",
                "search over the simplex at T_0 = 1 finds (y + f)/2",
                laws.trial_loss_prefers_the_average,
            ),
        ),
    ),
    Claim(
        id="GS-4-answers",
        source="GS",
        equation="after (4)",
        statement=(
            "The solution depends on the teacher through its answers only, so teacher and student "
            "may see different features."
        ),
        tex=r"f|_{T=T_0} = f^{1/T_0} \big/ \textstyle\sum_k f_k^{1/T_0}, \quad f = f|_{T=1}",
        verdict="true",
        evidence=(
            Evidence(
                "symbolic",
                "the answers at T = 1 give those at every T_0",
                likelihood.answers_at_one_temperature_give_all,
            ),
            Evidence(
                "symbolic",
                "teachers with the same answers give the same loss",
                likelihood.features_decide_nothing_more,
            ),
        ),
    ),
)

LIKELIHOOD = (
    Claim(
        id="GS-5",
        source="GS",
        equation="(5)",
        statement=(
            "For independent objects the likelihood of the labels is the product over all m "
            "objects (the paper writes N)."
        ),
        tex=r"p(Y|X,g) = \prod_{i=1}^{N} p(y_i|x_i,g)",
        verdict="true",
        evidence=(
            Evidence(
                "symbolic",
                "total mass 1, and the margin of each object is its own p",
                likelihood.label_likelihood_has_mass_one,
            ),
            Evidence("oracle", "enumeration of labellings", laws.label_likelihood_sums_to_one),
        ),
    ),
    Claim(
        id="GS-6",
        source="GS",
        equation="(6)",
        statement=(
            "The student of largest likelihood is the one of least cross-entropy with the labels."
        ),
        tex=r"\hat g = \arg\max_{g \in \mathcal G} \prod_{i=1}^{N} p(y_i|x_i,g)",
        verdict="true",
        evidence=(
            Evidence(
                "symbolic",
                "−log likelihood is the cross-entropy",
                likelihood.likelihood_is_cross_entropy,
            ),
            Evidence(
                "oracle",
                "search: at an x seen several times the best student is the class frequencies",
                laws.best_student_is_the_class_frequencies,
            ),
        ),
    ),
    Claim(
        id="GS-R1",
        source="GS",
        equation="section 4.2, requirement 1",
        statement="Where there is a teacher, its answer s and the true label y are dependent.",
        tex=r"p(y, s) \ne p(y) \, p(s)",
        verdict="true under a stated reading",
        correction=(
            "Over random objects x. Given x, the likelihood (9) makes them independent, "
            "whatever the student."
        ),
        evidence=(
            Evidence(
                "symbolic",
                "covariance of y and s under (9) for one x",
                likelihood.given_features_label_and_answer_covary,
            ),
            Evidence(
                "symbolic",
                "covariance over two equally likely x",
                likelihood.over_features_label_and_answer_covary,
                "reading",
            ),
        ),
    ),
    Claim(
        id="GS-R2",
        source="GS",
        equation="section 4.2, requirement 2",
        statement="Without privileged objects the problems (10), (11) and (14) are problem (6).",
        tex=r"|\Omega^*| = 0 \implies (10) = (11) = (14) = (6)",
        verdict="true",
        evidence=(
            Evidence(
                "symbolic", "(10) and (11) with I empty", likelihood.no_teacher_leaves_the_labels
            ),
            Evidence("symbolic", "(14) with I empty", objective.no_teacher_leaves_the_labels),
        ),
    ),
    Claim(
        id="GS-R3",
        source="GS",
        equation="section 4.2, requirement 3",
        statement=(
            "λ in [0, 1] is the trust in the teacher: 0 ignores it, 1 ignores the labels on I, and "
            "in between a larger λ never lowers the teacher's term against the label term."
        ),
        tex=r"\lambda' > \lambda \implies A(\hat g_{\lambda'}) \ge A(\hat g_\lambda), \quad"
        r" A(g) = \sum_{i \in I} \log p(s_i|x_i,g) - \log p(y_i|x_i,g)",
        verdict="true",
        evidence=(
            Evidence("symbolic", "(11) at λ = 0 and at λ = 1", likelihood.trust_at_its_ends),
            Evidence(
                "symbolic",
                "two optimality inequalities add up to the third statement",
                likelihood.trust_moves_towards_the_teacher,
            ),
            Evidence(
                "oracle",
                "search for the best student of (11), exact (12), at nine values of λ",
                laws.advantage_grows_with_trust,
            ),
        ),
    ),
    Claim(
        id="GS-7",
        source="GS",
        equation="(7)",
        statement=(
            "The joint likelihood of labels and answers is the product of p(y_i) outside I and of "
            "p(y_i, s_i) on I."
        ),
        tex=(
            r"p(Y,S|X,g,I,\lambda) = \prod_{i \notin I} p(y_i|x_i,g)"
            r" \prod_{i \in I} p(y_i,s_i|x_i,g,\lambda)"
        ),
        verdict="true",
        evidence=(
            Evidence(
                "symbolic",
                "total mass 1 when the law of s depends on y",
                likelihood.joint_likelihood_has_mass_one,
            ),
        ),
    ),
    Claim(
        id="GS-8",
        source="GS",
        equation="(8)",
        statement=(
            "The joint law of one object's label and answer is p(y_i) times a product over all "
            "of I."
        ),
        tex=r"p(y_i,s_i|X,g,\lambda) = p(y_i|x_i,g) \prod_{i \in I} (s_i|y_i,x_i,g)",
        verdict="false as printed",
        correction=(
            "p(y_i, s_i | x_i, g) = p(y_i | x_i, g) p(s_i | y_i, x_i, g), which (9) uses: the "
            "product sign is stray and a p is missing."
        ),
        evidence=(
            Evidence(
                "symbolic",
                "mass of the printed right side over (y_1, s_1), two objects in I",
                likelihood.printed_joint_has_mass_one,
            ),
            Evidence(
                "symbolic",
                "mass of (7) with the corrected (8)",
                likelihood.joint_likelihood_has_mass_one,
                "correction",
            ),
        ),
    ),
    Claim(
        id="GS-9-independence",
        source="GS",
        equation="before (9)",
        statement=(
            "Label and answer depend on each other through x only, so p(s|y, x, g) = p(s|x, g)."
        ),
        tex=r"p(s_i|y_i,x_i,g) = p(s_i|x_i,g)",
        verdict="true under a stated reading",
        correction=(
            "The teacher's features x* tell nothing about y beyond x. Privileged features that "
            "do tell something, the case of interest, break it."
        ),
        evidence=(
            Evidence(
                "symbolic",
                "a teacher that answers with a hidden bit which the label depends on",
                likelihood.hidden_bit_that_tells_the_label,
            ),
            Evidence(
                "symbolic",
                "the same with a bit that the label does not depend on",
                likelihood.hidden_bit_that_tells_nothing,
                "reading",
            ),
        ),
    ),
    Claim(
        id="GS-9",
        source="GS",
        equation="(9)",
        statement=(
            "With the corrected (8) and that independence, the joint likelihood is the product of "
            "all p(y_i) and of p(s_i) over I. (λ, on its left, does not occur on its right.)"
        ),
        tex=(
            r"p(Y,S|X,g,I,\lambda) = \prod_{i \notin I} p(y_i|x_i,g)"
            r" \prod_{i \in I} p(y_i|x_i,g) \prod_{i \in I} p(s_i|x_i,g)"
        ),
        verdict="true",
        evidence=(
            Evidence(
                "symbolic",
                "(7) with p(y) p(s) on I, and its mass",
                likelihood.joint_likelihood_factorises,
            ),
        ),
    ),
    Claim(
        id="GS-10",
        source="GS",
        equation="(10)",
        statement="The student of largest likelihood (9) maximises Σ log p(y_i) + Σ_I log p(s_i).",
        tex=(
            r"\hat g = \arg\max_{g \in \mathcal G} \prod_{i \notin I} p(y_i|x_i,g)"
            r" \prod_{i \in I} p(y_i|x_i,g) \prod_{i \in I} p(s_i|x_i,g)"
        ),
        verdict="true",
        evidence=(
            Evidence(
                "symbolic",
                "logarithm of (10): every weight is 1",
                likelihood.log_likelihood_has_unit_weights,
            ),
        ),
    ),
    Claim(
        id="GS-11",
        source="GS",
        equation="(11)",
        statement=(
            "Taking logarithms in (10) gives (11), with weights 1, 1 − λ and λ for labels outside "
            "I, labels on I, and answers."
        ),
        tex=(
            r"(10) \implies \hat g = \arg\max_g \sum_{i \notin I} \log p(y_i|x_i,g)"
            r" + (1-\lambda) \sum_{i \in I} \log p(y_i|x_i,g)"
            r" + \lambda \sum_{i \in I} \log p(s_i|x_i,g)"
        ),
        verdict="false as printed",
        correction=(
            "The logarithm of (10) has weights 1, 1 and 1. λ is put in by hand: (11) is a weighted "
            "likelihood, with the maximiser of (10) when λ = ½ and I is everything."
        ),
        evidence=(
            Evidence(
                "symbolic",
                "maximisers of (10) and (11) for a constant student with Gaussian errors",
                likelihood.gaussian_estimates_agree,
            ),
            Evidence(
                "symbolic",
                "logarithm of (10): every weight is 1",
                likelihood.log_likelihood_has_unit_weights,
                "correction",
            ),
            Evidence(
                "symbolic",
                "(11) at λ = ½ with I everything is ½ log (10)",
                likelihood.privileged_objects_weigh_half,
                "correction",
            ),
        ),
    ),
    Claim(
        id="GS-11-weight",
        source="GS",
        equation="(11)",
        statement=(
            "At λ = ½ objects of I weigh half as much in (11) as in (10), against the objects "
            "outside I."
        ),
        tex=r"\lambda = \tfrac12: \quad (11) = \tfrac12 \log (10)|_I + \log (10)|_{\bar I}",
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "(11) at λ = ½ against log (10), on I and outside",
                likelihood.privileged_objects_weigh_half,
            ),
        ),
    ),
)

THEOREM_1 = (
    Claim(
        id="GS-12",
        source="GS",
        equation="(12)",
        statement=(
            "The teacher's answers may have the density C ∏ g_k^{s_k} on the simplex: for positive "
            "g there is one C > 0 that makes it a density."
        ),
        tex=r"p(s|x,g) = C \prod_{k=1}^{K} g_k(x)^{s^k}, \quad s \in S_K",
        verdict="true",
        evidence=(
            Evidence(
                "property",
                "min g/(K−1)! ≤ ∫ ∏ g_k^{s_k} ds ≤ max g/(K−1)!, so it is finite and not 0",
                laws.integral_is_finite,
            ),
            Evidence(
                "oracle",
                "quadrature of the density with C = 1/Z",
                partial(laws.density_has_mass_one, "coordinate"),
            ),
        ),
    ),
    Claim(
        id="GS-T1",
        source="GS",
        equation="Theorem 1, coordinate measure",
        statement=(
            "With the printed C, (12) is a density with respect to ds_1 … ds_{K−1}, "
            "if every g_k is away from 0 and 1 by ε."
        ),
        tex=(
            r"C = (-1)^K \frac{K^{K/2}}{2^{K(K-1)/2}} \prod_k g_k \log g_k \implies"
            r" \int_{S_K} C \prod_k g_k^{s_k} \, ds_1 \dots ds_{K-1} = 1"
        ),
        verdict="false as printed",
        correction=(
            "C = 1/Z, Z = exp[log g_1, …, log g_K], the divided difference of exp. "
            "With the printed C the integral is below 0.136 for every g and K ≥ 2."
        ),
        evidence=(
            Evidence(
                "certificate",
                "Z times the printed C at rational points is not 1",
                partial(certificates.printed_constant_normalises, "coordinate"),
            ),
            Evidence(
                "certificate",
                "a bound of Z times the printed C for every g",
                partial(certificates.printed_constant_can_normalise, "coordinate"),
            ),
            Evidence(
                "oracle",
                "quadrature of (12) with the printed C",
                partial(laws.printed_density_has_mass_one, "coordinate"),
            ),
            Evidence(
                "property", "Z times the printed C", laws.printed_mass_at_random_points_is_one
            ),
            Evidence(
                "symbolic",
                "integral of (12) with C = 1/Z",
                normaliser.corrected_density_has_mass_one,
                "correction",
            ),
            Evidence(
                "oracle",
                "quadrature of (12) with C = 1/Z",
                partial(laws.density_has_mass_one, "coordinate"),
                "correction",
            ),
        ),
    ),
    Claim(
        id="GS-T1-surface",
        source="GS",
        equation="Theorem 1, surface measure",
        statement="With the printed C, (12) is a density with respect to area on the simplex.",
        tex=r"\int_{S_K} C \prod_k g_k^{s_k} \, dA(s) = 1",
        verdict="false as printed",
        correction=(
            "C = 1/(√K Z). With the printed C the integral is below 0.192 for every g and K ≥ 2."
        ),
        evidence=(
            Evidence(
                "certificate",
                "√K Z times the printed C at rational points is not 1",
                partial(certificates.printed_constant_normalises, "surface"),
            ),
            Evidence(
                "certificate",
                "a bound of √K Z times the printed C for every g",
                partial(certificates.printed_constant_can_normalise, "surface"),
            ),
            Evidence(
                "oracle",
                "quadrature of (12) with the printed C",
                partial(laws.printed_density_has_mass_one, "surface"),
            ),
            Evidence(
                "symbolic",
                "the surface measure is √K times the coordinate measure",
                normaliser.surface_is_root_of_the_classes,
                "correction",
            ),
            Evidence(
                "oracle",
                "quadrature of (12) with C = 1/(√K Z)",
                partial(laws.density_has_mass_one, "surface"),
                "correction",
            ),
        ),
    ),
    Claim(
        id="GS-T1-S1",
        source="GS",
        equation="Theorem 1, proof, part 1",
        statement="The printed C is positive, and so is (12).",
        tex=r"0 < g_k < 1 \implies (-1)^K \prod_k g_k \log g_k = \prod_k g_k (-\log g_k) > 0",
        verdict="true",
        evidence=(
            Evidence("symbolic", "sign of the printed C", normaliser.printed_constant_is_positive),
            Evidence(
                "property",
                "logarithm of the printed C is finite",
                laws.printed_constant_is_positive,
            ),
        ),
    ),
    Claim(
        id="GS-T1-S2",
        source="GS",
        equation="Theorem 1, proof, (13), second equality",
        statement="The integral of the product over the simplex is the product of the integrals.",
        tex=r"\int_{S_K} \prod_k g_k^{s_k} \, ds = \prod_k \int_{S_K} g_k^{s_k} \, ds",
        verdict="false as printed",
        correction=(
            "The coordinates of s are tied by Σ s_k = 1. The left side is the divided difference "
            "exp[log g_1, …, log g_K]."
        ),
        evidence=(
            Evidence(
                "certificate",
                "both sides at rational points, both measures",
                certificates.product_of_integrals_is_the_integral,
            ),
            Evidence(
                "oracle",
                "quadrature of both sides at g = (½, ½)",
                laws.product_of_integrals_is_the_integral,
            ),
            Evidence(
                "symbolic",
                "the left side is the divided difference",
                normaliser.lagrange_form_is_the_integral,
                "correction",
            ),
        ),
    ),
    Claim(
        id="GS-T1-S3",
        source="GS",
        equation="Theorem 1, proof, (13), third equality",
        statement=(
            "Integrating over slices s_k = r, the weight of r is the volume of a regular simplex "
            "of edge r."
        ),
        tex=(
            r"\int_{S_K} g_k^{s_k} \, ds"
            r" = \int_0^1 \frac{r^{K-1} \sqrt K}{(K-1)! \sqrt{2^{K-1}}} g_k^r \, dr"
        ),
        verdict="false as printed",
        correction=(
            "The weight of r is (1 − r)^{K−2}/(K−2)!, the volume of the slice "
            "(√K times that with area)."
        ),
        evidence=(
            Evidence(
                "symbolic",
                "both sides as g → 1, K a symbol",
                normaliser.printed_radial_measure_has_the_right_mass,
            ),
            Evidence(
                "certificate",
                "both sides at rational points, both measures",
                certificates.radial_integral_is_the_integral,
            ),
            Evidence("symbolic", "volume of the slice", normaliser.slice_measure, "correction"),
            Evidence("oracle", "quadrature of both sides", laws.slice_law, "correction"),
        ),
    ),
    Claim(
        id="GS-T1-S4",
        source="GS",
        equation="Theorem 1, proof, (13), sixth equality",
        statement=(
            "The integral of r^{K−1} exp(r log g) over [0, 1] is −log g times the lower incomplete "
            "gamma function γ(K, −log g)."
        ),
        tex=(
            r"\int_0^1 r^{K-1} e^{r \log g} dr"
            r" = -\log g \, \big( \Gamma(K) - \Gamma(K, -\log g) \big)"
        ),
        verdict="false as printed",
        correction="It is (−log g)^{−K} γ(K, −log g); the two agree at g = 1/e only.",
        evidence=(
            Evidence(
                "symbolic",
                "printed over right value, K a symbol",
                normaliser.printed_value_of_the_radial_integral,
            ),
            Evidence(
                "oracle",
                "quadrature of the integral at g = ½",
                laws.printed_value_of_the_radial_integral,
            ),
            Evidence(
                "symbolic",
                "substitution, K a symbol",
                normaliser.radial_integral_is_incomplete_gamma,
                "correction",
            ),
        ),
    ),
    Claim(
        id="GS-T1-S5",
        source="GS",
        equation="Theorem 1, proof, (13), seventh equality",
        statement=(
            "γ(K, −log g) is (K−1)! (1 − g exp_{K−1}(−log g) + g), where exp_n sums the first n "
            "terms of Taylor's series."
        ),
        tex=r"\gamma(K, -\log g) = (K-1)! \, \big( 1 - g \exp_{K-1}(-\log g) + g \big)",
        verdict="false as printed",
        correction=(
            "γ(K, x) = (K−1)! (1 − e^{−x} Σ_{j<K} x^j/j!). The printed value is too large in every "
            "reading of exp_{K−1}."
        ),
        evidence=(
            Evidence(
                "symbolic",
                "printed less right value in three readings of exp_{K−1}",
                normaliser.incomplete_gamma_is_the_printed_sum,
            ),
            Evidence(
                "symbolic",
                "the finite sum, by induction over K",
                normaliser.incomplete_gamma_is_its_sum,
                "correction",
            ),
        ),
    ),
    Claim(
        id="GS-T1-S6",
        source="GS",
        equation="Theorem 1, proof, after (13), approximation",
        statement="exp_{K−1}(−log g) may be replaced by exp(−log g) = 1/g.",
        tex=r"\exp_{K-1}(-\log g) \approx \exp(-\log g)",
        verdict="false as printed",
        correction=(
            "The relative error is γ(K, −log g)/(K−1)!, small only for −log g ≪ K. It is the very "
            "bracket that is being computed: in the right (13) the replacement leaves 0."
        ),
        evidence=(
            Evidence(
                "certificate",
                "relative error at K = 2, g = 1/10 is above one half",
                certificates.taylor_sum_is_near_the_exponential,
            ),
            Evidence(
                "symbolic",
                "relative error and what is left",
                normaliser.approximation_removes_the_whole_bracket,
                "correction",
            ),
        ),
    ),
    Claim(
        id="GS-T1-S7",
        source="GS",
        equation="Theorem 1, proof, after (13), conclusion",
        statement="C is the integral of ∏ g_k^{s_k}.",
        tex=r"C(g, x) = \int_{S_K} \prod_k g_k^{s_k} \, ds",
        verdict="false as printed",
        correction="C is one over the integral. (The first step of (13) drops C.)",
        evidence=(
            Evidence(
                "certificate",
                "mass of (12) with C = Z at rational points, both measures",
                certificates.normaliser_equals_the_integral,
            ),
            Evidence("property", "mass of (12) with C = Z", laws.integral_normalises),
            Evidence(
                "oracle",
                "quadrature of (12) with C = 1/Z",
                partial(laws.density_has_mass_one, "coordinate"),
                "correction",
            ),
        ),
    ),
    Claim(
        id="GS-13",
        source="GS",
        equation="(13)",
        statement="The integral of ∏ g_k^{s_k} over the simplex is the last line of (13).",
        tex=(
            r"\int_{S_K} \prod_k g_k^{s_k} \, ds = \frac{(-\sqrt K)^K}{2^{K(K-1)/2}}"
            r" \prod_k \log g_k \, \big( 1 - g_k \exp_{K-1}(-\log g_k) + g_k \big) < \infty"
        ),
        verdict="false as printed",
        correction="It is finite, and equals the divided difference exp[log g_1, …, log g_K].",
        evidence=(
            Evidence(
                "certificate",
                "both sides at rational points, three readings of exp_{K−1}, both measures",
                certificates.last_line_is_the_integral,
            ),
            Evidence(
                "symbolic",
                "the integral is the divided difference, by induction over K",
                normaliser.divided_difference_recurrence,
                "correction",
            ),
            Evidence(
                "oracle",
                "quadrature and simulation of the integral",
                laws.log_normaliser_is_the_integral,
                "correction",
            ),
        ),
    ),
    Claim(
        id="GS-T1-integral",
        source="GS",
        equation="Theorem 1, proof, last line",
        statement="The printed C is approximately the integral of ∏ g_k^{s_k}.",
        tex=(
            r"\int_{S_K} \prod_k g_k^{s_k} \, ds"
            r" \approx (-1)^K \frac{K^{K/2}}{2^{K(K-1)/2}} \prod_k g_k \log g_k"
        ),
        verdict="false as printed",
        correction=(
            "It is what the approximation makes of the last line of (13), but neither that line "
            "nor C is the integral: at g = (3/10, 7/10) C is 0.090, the integral 0.472."
        ),
        evidence=(
            Evidence(
                "certificate",
                "printed C and integral at rational points, both measures",
                certificates.printed_constant_is_the_integral,
            ),
            Evidence(
                "symbolic",
                "the approximation takes the last line of (13) to the printed C",
                normaliser.last_line_is_the_printed_constant,
                "correction",
            ),
        ),
    ),
    Claim(
        id="GS-T1-corrected",
        source="GS",
        equation="Theorem 1, corrected",
        statement=(
            "(12) is a density with respect to ds_1 … ds_{K−1} with C = 1/Z, where Z is the "
            "divided difference of exp at log g_1, …, log g_K, ties included."
        ),
        tex=(
            r"\frac1C = Z(a) = \int_{S_K} e^{\langle a, s \rangle} ds = \exp[a_1, \dots, a_K],"
            r" \quad a = \log g"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "the integral obeys the recurrence of divided differences, by induction over K",
                normaliser.divided_difference_recurrence,
            ),
            Evidence(
                "oracle",
                "kdtheory's log Z beside quadrature and simulation",
                laws.log_normaliser_is_the_integral,
            ),
            Evidence(
                "certificate",
                "kdtheory's log Z beside a ball that encloses it",
                certificates.log_normaliser_is_accurate,
            ),
            Evidence(
                "property",
                "kdtheory's Z obeys the recurrence, ties included",
                laws.recurrence_of_divided_differences,
            ),
        ),
    ),
    Claim(
        id="GS-T1-lagrange",
        source="GS",
        equation="Theorem 1, corrected",
        statement=(
            "When all g_k differ, Z is a sum over the classes; at ties the limit of the sum is Z."
        ),
        tex=r"Z(a) = \sum_k \frac{e^{a_k}}{\prod_{j \ne k} (a_k - a_j)}",
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "integration over one variable after the other",
                normaliser.lagrange_form_is_the_integral,
            ),
            Evidence("symbolic", "limits at ties", normaliser.lagrange_form_at_ties),
        ),
    ),
    Claim(
        id="GS-T1-surface-corrected",
        source="GS",
        equation="Theorem 1, corrected",
        statement="With respect to area on the simplex, C = 1/(√K Z).",
        tex=r"dA = \sqrt K \, ds_1 \dots ds_{K-1}",
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "Gram determinant of s_1, …, s_{K−1} → s",
                normaliser.surface_is_root_of_the_classes,
            ),
            Evidence(
                "oracle",
                "quadrature of the density over the surface",
                partial(laws.density_has_mass_one, "surface"),
            ),
        ),
    ),
    Claim(
        id="GS-T1-epsilon",
        source="GS",
        equation="Theorem 1, hypothesis",
        statement=("Positive g are enough: that they are away from 0 and 1 by ε is not needed."),
        tex=r"\frac{\min g}{(K-1)!} \le Z(\log g) \le \frac{\max g}{(K-1)!}",
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence("property", "the two bounds, with g down to 1e-300", laws.integral_is_finite),
        ),
    ),
    Claim(
        id="GS-T1-shift",
        source="GS",
        equation="Theorem 1, corrected",
        statement=(
            "The density depends on logits up to a common shift, so it needs no softmax: "
            "log p(s) = ⟨z, s⟩ − log Z(z)."
        ),
        tex=r"Z(a + c) = e^c Z(a)",
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence("symbolic", "⟨a + c, s⟩ − ⟨a, s⟩", normaliser.shift_scales_the_integral),
            Evidence("property", "log Z(a + c) − log Z(a)", laws.shift_law),
        ),
    ),
    Claim(
        id="GS-T1-series",
        source="GS",
        equation="Theorem 1, corrected",
        statement=(
            "Z is a series of positive terms, with complete homogeneous symmetric polynomials h_n "
            "of b = a − min a: nothing cancels."
        ),
        tex=r"Z(a) = e^{\min a} \sum_{n \ge 0} \frac{h_n(b)}{(n+K-1)!}",
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "integral of each term of exp⟨b, s⟩",
                normaliser.series_of_complete_polynomials,
            ),
            Evidence(
                "certificate",
                "its sum in kdtheory beside a ball that encloses log Z",
                certificates.log_normaliser_is_accurate,
            ),
        ),
    ),
    Claim(
        id="GS-12-mean",
        source="GS",
        equation="(12), mean",
        statement=(
            "The mean of (12) is the gradient of log Z, a quotient of divided differences with "
            "one node repeated."
        ),
        tex=r"\mu_k = E[s_k] = \frac{\partial \log Z}{\partial a_k} = \frac{\exp[a, a_k]}{\exp[a]}",
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "splitting s_k between two equal nodes",
                normaliser.mean_by_a_repeated_node,
            ),
            Evidence("oracle", "quadrature of E[s], ties included", laws.mean_is_the_gradient),
        ),
    ),
    Claim(
        id="GS-12-covariance",
        source="GS",
        equation="(12), covariance",
        statement=(
            "The covariance of (12) is the Hessian of log Z, by divided differences with two nodes "
            "repeated."
        ),
        tex=r"E[s_j s_k] = (1 + \delta_{jk}) \frac{\exp[a, a_j, a_k]}{\exp[a]}",
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "splitting s_k between three equal nodes",
                normaliser.covariance_by_repeated_nodes,
            ),
            Evidence(
                "oracle",
                "quadrature of the covariance, ties included",
                laws.covariance_is_the_hessian,
            ),
        ),
    ),
    Claim(
        id="GS-12-not-g",
        source="GS",
        equation="(12), mean",
        statement=(
            "The mean of the teacher's answer under (12) is g when g is uniform, and never "
            "otherwise."
        ),
        tex=r"\mu(\log g) = g \iff g_1 = \dots = g_K",
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "what μ = g would mean for log Z between uniform and g",
                normaliser.mean_equal_to_g_is_uniform,
            ),
            Evidence("certificate", "μ and g at rational points", certificates.mean_differs_from_g),
            Evidence("property", "1/K < max μ < max g", laws.mean_is_nearer_to_uniform),
        ),
    ),
    Claim(
        id="GS-12-bernoulli",
        source="GS",
        equation="(12), K = 2",
        statement="For two classes (12) is the continuous Bernoulli distribution.",
        tex=r"C = \frac{2 \operatorname{artanh}(1 - 2g)}{1 - 2g}, \quad g = g_1 \ne \tfrac12",
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "the published constant is 1/Z",
                normaliser.continuous_bernoulli_constant,
            ),
            Evidence("property", "the published density", laws.continuous_bernoulli_density),
        ),
    ),
    Claim(
        id="GS-12-one-hot",
        source="GS",
        equation="(12), estimate",
        statement=(
            "At a one-hot answer of the teacher the exact likelihood has no maximum: the estimate "
            "diverges."
        ),
        tex=r"s = e_k: \quad \sup_g p(s|g) = \infty",
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "density at a vertex, K = 2",
                normaliser.answer_at_a_vertex_has_no_estimate,
            ),
            Evidence(
                "property", "density at a vertex, K = 2 … 6", laws.estimate_at_a_vertex_diverges
            ),
        ),
    ),
)

OBJECTIVE = (
    Claim(
        id="GS-14",
        source="GS",
        equation="(14)",
        statement=(
            "Under assumptions 1)–4), problem (11) is problem (14), with "
            "λ Σ_I Σ_k (log g_k + log log 1/g_k) as its last term."
        ),
        tex=(
            r"\dots + \lambda \sum_{i \in I} \sum_k \Big( \log g_k(x_i)|_{T=T_0}"
            r" + \log \log \frac{1}{g_k(x_i)} \Big|_{T=T_0} \Big)"
        ),
        verdict="false as printed",
        correction=(
            "The last term is −λ Σ_I log Z(log g(x_i)) at T = T_0. With the logits z/T_0 the "
            "teacher's part is λ Σ_I (⟨s, z⟩/T_0 − log Z(z/T_0))."
        ),
        evidence=(
            Evidence(
                "certificate",
                "change of the printed and of the exact term between two students",
                certificates.fourth_term_is_the_log_constant,
            ),
            Evidence(
                "oracle",
                "mass that the printed term gives to (12), for three students",
                laws.printed_regulariser_normalises,
            ),
            Evidence(
                "symbolic",
                "mass that the exact term gives to (12)",
                normaliser.corrected_density_has_mass_one,
                "correction",
            ),
            Evidence(
                "symbolic",
                "log Z(log g) and log Z of the logits differ by what normalises g",
                normaliser.shift_scales_the_integral,
                "correction",
            ),
        ),
    ),
    Claim(
        id="GS-14-algebra",
        source="GS",
        equation="(14)",
        statement=(
            "If the printed C were right, (11) and (12) would give the last term of (14), up to a "
            "constant of K."
        ),
        tex=r"\log C_{printed} = \sum_k (\log g_k + \log\log \tfrac{1}{g_k}) + c(K)",
        verdict="true",
        evidence=(
            Evidence(
                "symbolic",
                "gradient of log C − Σ (log g + log log 1/g)",
                objective.substitution_gives_the_fourth_term,
            ),
        ),
    ),
    Claim(
        id="GS-14-factor",
        source="GS",
        equation="after (14)",
        statement=(
            "With λ = ½ and I everything the first three terms of (14) coincide with the terms of "
            "(3)."
        ),
        tex=r"\lambda = \tfrac12, \ I = \{1, \dots, m\}: \quad (14)_{1,2,3} = (3)",
        verdict="true under a stated reading",
        correction="Up to the factor −½: the argmax of one is the argmin of the other.",
        evidence=(
            Evidence(
                "symbolic", "first three terms less (3)", objective.first_three_terms_are_the_loss
            ),
            Evidence(
                "symbolic",
                "first three terms plus half of (3)",
                objective.first_three_terms_are_minus_half_the_loss,
                "reading",
            ),
        ),
    ),
    Claim(
        id="GS-14-which",
        source="GS",
        equation="after (14)",
        statement=(
            "The third term of (14) is the regulariser that comes from the form of the density."
        ),
        tex=r"\lambda \sum_{i \in I} \sum_k s_{i,k} \log g_k(x_i)|_{T=T_0}",
        verdict="false as printed",
        correction=(
            "The fourth term is; the third is the teacher's cross-entropy, the second term of (3)."
        ),
        evidence=(
            Evidence(
                "symbolic",
                "whether the third term is free of the teacher's answer",
                objective.third_term_is_free_of_the_teacher,
            ),
            Evidence(
                "symbolic",
                "whether the fourth term is free of the teacher's answer",
                objective.fourth_term_is_free_of_the_teacher,
                "correction",
            ),
        ),
    ),
    Claim(
        id="GS-14-blend",
        source="GS",
        equation="after (14), T_0 = 1",
        statement=(
            "At T_0 = 1 the first three terms of (14) are, for each object, a cross-entropy of the "
            "student with (1 − λ)y + λs."
        ),
        tex=(
            r"(14)_{1,2,3} = \sum_i \sum_k"
            r" \big( (1-\lambda) y_i^k + \lambda s_{i,k} \big) \log g_k(x_i)"
        ),
        verdict="true under a stated reading",
        correction=(
            "For objects of I, and with the minus sign of a cross-entropy. Outside I the label "
            "stays alone."
        ),
        evidence=(
            Evidence(
                "symbolic",
                "sum with cross-entropies of the blend for every object",
                objective.blended_on_every_object,
            ),
            Evidence(
                "symbolic",
                "sum with cross-entropies of the blend on I, of the label outside",
                objective.blended_on_privileged_objects,
                "reading",
            ),
        ),
    ),
    Claim(
        id="GS-14-minimiser",
        source="GS",
        equation="after (14), T_0 = 1",
        statement=(
            "So the student of the first three terms recovers (1 − λ)y + λs in place of the label."
        ),
        tex=r"\arg\min_g H\big( (1-\lambda) y + \lambda s, \, g \big) = (1-\lambda) y + \lambda s",
        verdict="true",
        evidence=(
            Evidence(
                "symbolic",
                "gradient in the logits, 0 at the blend only",
                objective.blend_is_the_minimiser,
            ),
            Evidence("oracle", "search over the simplex", laws.first_three_terms_prefer_the_blend),
        ),
    ),
    Claim(
        id="GS-14-optimum",
        source="GS",
        equation="(14), all four terms, T_0 = 1",
        statement=(
            "With its fourth term (14) no longer recovers (1 − λ)y + λs, unless that is uniform. "
            "As printed it is drawn to the uniform answer; with the exact term the student g obeys "
            "(1 − λ)g + λμ = (1 − λ)y + λs on I, where μ is the mean of (12)."
        ),
        tex=r"(1-\lambda) \hat g + \lambda \mu(\log \hat g) = (1-\lambda) y + \lambda s",
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "oracle",
                "search for the optimum of (14) as printed",
                laws.printed_optimum_is_drawn_to_uniform,
            ),
            Evidence(
                "symbolic",
                "the slope of the printed term falls with g_k, so it is alike in all classes at "
                "uniform only",
                objective.printed_regulariser_is_concave,
            ),
            Evidence("symbolic", "gradient of the exact objective", objective.exact_gradient),
            Evidence(
                "oracle",
                "search for the optimum of the exact objective",
                laws.exact_optimum_is_stationary,
            ),
        ),
    ),
    Claim(
        id="GS-14-direction",
        source="GS",
        equation="(14), fourth term",
        statement=(
            "The printed fourth term is largest at the uniform student; the exact one is least "
            "there and grows without bound where a g_k goes to 0. They pull in opposite "
            "directions, for every K ≥ 2."
        ),
        tex=(
            r"\arg\max \sum_k (\log g_k + \log\log \tfrac{1}{g_k})"
            r" = (\tfrac1K, \dots, \tfrac1K) = \arg\min \big( {-\log Z(\log g)} \big)"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "the printed term is strictly concave in g, and symmetric",
                objective.printed_regulariser_is_concave,
            ),
            Evidence(
                "symbolic",
                "the exact term is convex in g, and symmetric",
                objective.exact_regulariser_is_convex,
            ),
            Evidence("symbolic", "Z → 0 as a g_k → 0", objective.exact_regulariser_is_unbounded),
            Evidence(
                "certificate",
                "both terms at rational points against uniform",
                certificates.regularisers_pull_apart,
            ),
            Evidence("oracle", "enumeration of grids, K = 2, 3, 4", laws.regularisers_on_a_grid),
            Evidence(
                "property", "both terms from uniform to random g", laws.regularisers_along_segments
            ),
        ),
    ),
    Claim(
        id="GS-14-convex",
        source="GS",
        equation="(14), corrected",
        statement=(
            "With the exact constant the teacher's loss, −⟨s, z⟩ + log Z(z), is convex in the "
            "logits, so a linear student keeps a convex problem."
        ),
        tex=(
            r"\nabla^2 \big( {-\langle s, z \rangle} + \log Z(z) \big)"
            r" = \operatorname{Cov}(s) \succeq 0"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "symbolic",
                "the Hessian of log Z is a covariance",
                normaliser.covariance_by_repeated_nodes,
            ),
            Evidence(
                "symbolic",
                "second derivative for K = 2",
                objective.exact_term_is_convex_for_two_classes,
            ),
            Evidence("property", "eigenvalues and midpoints", laws.exact_term_is_convex),
        ),
    ),
    Claim(
        id="GS-14-not-convex",
        source="GS",
        equation="(14), teacher's terms",
        statement=(
            "The teacher's loss of (14) as printed is not convex in the logits for K ≥ 3: near a "
            "one-hot student it bends down between two unlikely classes. For K = 2 it is convex."
        ),
        tex=(
            r"-\langle s, \log g \rangle - \sum_k (\log g_k + \log\log \tfrac{1}{g_k}),"
            r" \quad g = \operatorname{softmax}(z)"
        ),
        verdict="true",
        author="kdtheory",
        evidence=(
            Evidence(
                "certificate",
                "a midpoint above its chord, at rational odds, K = 3",
                certificates.printed_term_is_not_convex,
            ),
            Evidence(
                "symbolic",
                "second derivative towards a vertex, K a symbol",
                objective.printed_term_bends_down_at_a_vertex,
            ),
            Evidence(
                "symbolic",
                "second derivative for K = 2: a sum of parts that are not negative",
                objective.printed_term_is_convex_for_two_classes,
            ),
        ),
    ),
    Claim(
        id="GS-classical",
        source="GS",
        equation="section 7",
        statement=(
            "The teacher's answers cannot be put as a classical classification problem; to use "
            "them takes the density of Theorem 1."
        ),
        tex=r"\nexists \, (x_j, c_j, w_j): \quad (14)_{1,2,3} = \sum_j w_j \log g_{c_j}(x_j)",
        verdict="false as printed",
        correction=(
            "At T_0 = 1 the first three terms of (14), which the paper's experiment minimises, are "
            "weighted classification: each object of I once for each class k, with weight "
            "(1 − λ)y_k + λs_k."
        ),
        evidence=(
            Evidence(
                "symbolic",
                "three terms less weighted classification on repeated objects: never 0?",
                objective.no_labels_and_weights_give_the_terms,
            ),
            Evidence(
                "property",
                "three terms and weighted classification at random students",
                laws.repeated_objects_give_the_terms,
                "correction",
            ),
        ),
    ),
)

GS = TEMPERATURE_AND_LOSS + LIKELIHOOD + THEOREM_1 + OBJECTIVE
