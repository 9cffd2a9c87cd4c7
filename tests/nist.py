"""The linear problems of NIST's Statistical Reference Datasets, with their certified values.

`exact` solves each from its decimal data in rational arithmetic: it proves the copies here.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np


@dataclass(frozen=True)
class Problem:
    """Columns as exact numbers, answers, certified coefficients and standard errors."""

    columns: tuple[tuple[Fraction, ...], ...]
    y: tuple[Fraction, ...]
    coef: tuple[float, ...]
    standard_errors: tuple[float, ...]

    @property
    def X(self) -> np.ndarray:
        return np.array([[float(x) for x in column] for column in self.columns]).T

    @property
    def answers(self) -> np.ndarray:
        return np.array([float(y) for y in self.y])

    def exact(self) -> tuple[list[Fraction], list[Fraction]]:
        """Coefficients, and squares of their standard errors, by Gauss-Jordan on fractions."""
        inner = [[_dot(a, b) for b in self.columns] for a in self.columns]
        n = len(inner)
        table = [
            row + [Fraction(i == j) for j in range(n)] + [_dot(self.columns[i], self.y)]
            for i, row in enumerate(inner)
        ]
        for i in range(n):
            table[i] = [value / table[i][i] for value in table[i]]
            for k in set(range(n)) - {i}:
                factor = table[k][i]
                table[k] = [x - factor * z for x, z in zip(table[k], table[i], strict=True)]
        coef = [row[-1] for row in table]
        rows = zip(*self.columns, strict=True)
        residuals = [y - _dot(row, coef) for row, y in zip(rows, self.y, strict=True)]
        variance = _dot(residuals, residuals) / (len(self.y) - n)
        return coef, [variance * table[i][n + i] for i in range(n)]


def _dot(a, b):
    return sum((x * z for x, z in zip(a, b, strict=True)), start=Fraction(0))


def _numbers(text: str) -> tuple[Fraction, ...]:
    return tuple(Fraction(Decimal(word)) for word in text.split())


def _polynomial(x, y, degree, coef, errors) -> Problem:
    columns = tuple(tuple(value**k for value in x) for k in range(degree + 1))
    return Problem(columns, y, coef, errors)


def _longley() -> Problem:
    rows = """
    60323 83.0 234289 2356 1590 107608 1947   61122 88.5 259426 2325 1456 108632 1948
    60171 88.2 258054 3682 1616 109773 1949   61187 89.5 284599 3351 1650 110929 1950
    63221 96.2 328975 2099 3099 112075 1951   63639 98.1 346999 1932 3594 113270 1952
    64989 99.0 365385 1870 3547 115094 1953   63761 100.0 363112 3578 3350 116219 1954
    66019 101.2 397469 2904 3048 117388 1955  67857 104.6 419180 2822 2857 118734 1956
    68169 108.4 442769 2936 2798 120445 1957  66513 110.8 444546 4681 2637 121950 1958
    68655 112.6 482704 3813 2552 123366 1959  69564 114.2 502601 3931 2514 125368 1960
    69331 115.7 518173 4806 2572 127852 1961  70551 116.9 554894 4007 2827 130081 1962"""
    numbers = _numbers(rows)
    ones = (Fraction(1),) * 16
    return Problem(
        (ones, *(numbers[k::7] for k in range(1, 7))),
        numbers[::7],
        (-3482258.63459582, 15.0618722713733, -0.0358191792925910, -2.02022980381683,
         -1.03322686717359, -0.0511041056535807, 1829.15146461355),
        (890420.383607373, 84.9149257747669, 0.0334910077722432, 0.488399681651699,
         0.214274163161675, 0.226073200069370, 455.478499142212),
    )  # fmt: skip


def _filip() -> Problem:
    y = _numbers("""
    0.8116 0.9072 0.9052 0.9039 0.8053 0.8377 0.8667 0.8809 0.7975 0.8162 0.8515 0.8766 0.8885
    0.8859 0.8959 0.8913 0.8959 0.8971 0.9021 0.909 0.9139 0.9199 0.8692 0.8872 0.89 0.891
    0.8977 0.9035 0.9078 0.7675 0.7705 0.7713 0.7736 0.7775 0.7841 0.7971 0.8329 0.8641 0.8804
    0.7668 0.7633 0.7678 0.7697 0.77 0.7749 0.7796 0.7897 0.8131 0.8498 0.8741 0.8061 0.846
    0.8751 0.8856 0.8919 0.8934 0.894 0.8957 0.9047 0.9129 0.9209 0.9219 0.7739 0.7681 0.7665
    0.7703 0.7702 0.7761 0.7809 0.7961 0.8253 0.8602 0.8809 0.8301 0.8664 0.8834 0.8898 0.8964
    0.8963 0.9074 0.9119 0.9228""")
    x = _numbers("""
    -6.860120914 -4.324130045 -4.358625055 -4.358426747 -6.955852379 -6.661145254 -6.355462942
    -6.118102026 -7.115148017 -6.815308569 -6.519993057 -6.204119983 -5.853871964 -6.109523091
    -5.79832982 -5.482672118 -5.171791386 -4.851705903 -4.517126416 -4.143573228 -3.709075441
    -3.499489089 -6.300769497 -5.953504836 -5.642065153 -5.031376979 -4.680685696 -4.329846955
    -3.928486195 -8.56735134 -8.363211311 -8.107682739 -7.823908741 -7.522878745 -7.218819279
    -6.920818754 -6.628932138 -6.323946875 -5.991399828 -8.781464495 -8.663140179 -8.473531488
    -8.247337057 -7.971428747 -7.676129393 -7.352812702 -7.072065318 -6.774174009 -6.478861916
    -6.159517513 -6.835647144 -6.53165267 -6.224098421 -5.910094889 -5.598599459 -5.290645224
    -4.974284616 -4.64454848 -4.290560426 -3.885055584 -3.408378962 -3.13200249 -8.726767166
    -8.66695597 -8.511026475 -8.165388579 -7.886056648 -7.588043762 -7.283412422 -6.995678626
    -6.691862621 -6.392544977 -6.067374056 -6.684029655 -6.378719832 -6.065855188 -5.752272167
    -5.132414673 -4.811352704 -4.098269308 -3.66174277 -3.2644011""")
    return _polynomial(
        x, y, 10,
        (-1467.48961422980, -2772.17959193342, -2316.37108160893, -1127.97394098372,
         -354.478233703349, -75.1242017393757, -10.8753180355343, -1.06221498588947,
         -0.0670191154593408, -0.00246781078275479, -0.0000402962525080404),
        (298.084530995537, 559.779865474950, 466.477572127796, 227.204274477751, 71.6478660875927,
         15.2897178747400, 2.23691159816033, 0.221624321934227, 0.0142363763154724,
         0.000535617408889821, 0.00000896632837373868),
    )  # fmt: skip


def _wampler(number: int) -> Problem:
    x = tuple(map(Fraction, range(21)))
    coef = (Fraction(1),) * 6
    if number == 2:
        coef = tuple(Fraction(1, 10**k) for k in range(6))
    noise = _numbers(
        "759 -2048 2048 -2048 2523 -2048 2048 -2048 1838 -2048 2048 "
        "-2048 1838 -2048 2048 -2048 2523 -2048 2048 -2048 759"
    )
    factor = {3: 1, 4: 100, 5: 10_000}.get(number, 0)
    y = tuple(
        sum(c * value**k for k, c in enumerate(coef)) + factor * e
        for value, e in zip(x, noise, strict=True)
    )
    errors = (2152.32624678170, 2363.55173469681, 779.343524331583, 101.475507550350,
              5.64566512170752, 0.112324854679312)  # fmt: skip
    certified = tuple(factor * error for error in errors)
    return _polynomial(x, y, 5, tuple(map(float, coef)), certified)


def _pontius() -> Problem:
    x = tuple(Fraction(150_000 * k) for k in range(1, 21)) * 2
    y = _numbers("""
    .11019 .21956 .32949 .43899 .54803 .65694 .76562 .87487 .98292 1.09146 1.20001 1.30822
    1.41599 1.52399 1.63194 1.73947 1.84646 1.95392 2.06128 2.16844 .11052 .22018 .32939
    .43886 .54798 .65739 .76596 .87474 .98300 1.09150 1.20004 1.30818 1.41613 1.52408 1.63159
    1.73965 1.84696 1.95445 2.06177 2.16829""")
    return _polynomial(
        x, y, 2,
        (0.673565789473684e-3, 0.732059160401003e-6, -0.316081871345029e-14),
        (0.107938612033077e-3, 0.157817399981659e-9, 0.486652849992036e-16),
    )  # fmt: skip


def _norris() -> Problem:
    y = _numbers("""
    0.1 338.8 118.1 888.0 9.2 228.1 668.5 998.5 449.1 778.9 559.2 0.3 0.1 778.1 668.8 339.3
    448.9 10.8 557.7 228.3 998.0 888.8 119.6 0.3 0.6 557.6 339.3 888.0 998.5 778.9 10.2 117.6
    228.9 668.4 449.2 0.2""")
    x = _numbers("""
    0.2 337.4 118.2 884.6 10.1 226.5 666.3 996.3 448.6 777.0 558.2 0.4 0.6 775.5 666.9 338.0
    447.5 11.6 556.0 228.1 995.8 887.6 120.2 0.3 0.3 556.8 339.1 887.2 999.0 779.0 11.1 118.3
    229.2 669.1 448.9 0.5""")
    return _polynomial(
        x, y, 1,
        (-0.262323073774029, 1.00211681802045), (0.232818234301152, 0.429796848199937e-3),
    )  # fmt: skip


def _without_intercept(x, y, coef, error) -> Problem:
    return Problem((tuple(map(Fraction, x)),), tuple(map(Fraction, y)), (coef,), (error,))


NIST = {
    "Norris": _norris(),
    "Pontius": _pontius(),
    "NoInt1": _without_intercept(
        range(60, 71), range(130, 141), 2.07438016528926, 0.0165289256198347
    ),
    "NoInt2": _without_intercept((4, 5, 6), (3, 4, 4), 0.727272727272727, 0.0420827318078432),
    "Filip": _filip(),
    "Longley": _longley(),
    **{f"Wampler{number}": _wampler(number) for number in range(1, 6)},
}


def digits(found: np.ndarray, certified: tuple[float, ...]) -> float:
    """Fewest correct significant digits, at most 16; of an exact 0, digits after the point."""
    reference = np.array(certified)
    error = np.abs(found - reference)
    relative = error / np.where(reference != 0, np.abs(reference), 1.0)
    return float(np.min(-np.log10(np.maximum(relative, 1e-16))))
