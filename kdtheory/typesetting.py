r"""How pages set numbers and words: what their templates share.

notation: none
"""

import re
from html import escape

from jinja2 import Environment, PackageLoader, StrictUndefined

__all__ = ["count_of", "number", "page_environment", "typeset"]

NOTHING = "–"  # where there is no number


def page_environment() -> Environment:
    """Templates of the package: all is escaped, and a name that is not known is a mistake.

    Returns
    -------
    jinja2.Environment
        With the functions below as filters.
    """
    environment = Environment(
        loader=PackageLoader("kdtheory"),
        autoescape=True,
        undefined=StrictUndefined,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "count_of": count_of, "typeset": typeset}
    return environment


def number(value: float | None, form: str = ".0f") -> str:
    """Write a number as print sets it: with − in place of the hyphen; – if there is none.

    Parameters
    ----------
    value : float or None
    form : str, default ".0f"
        Of `format`.

    Returns
    -------
    str

    Examples
    --------
    >>> number(-0.25, "+.1f"), number(None)
    ('−0.2', '–')
    """
    return NOTHING if value is None else format(value, form).replace("-", "−")


def count_of(number: int) -> str:
    r"""Write a count as print sets it: its thousands apart.

    Parameters
    ----------
    number : int

    Returns
    -------
    str

    Examples
    --------
    >>> count_of(60000)
    '60\xa0000'
    """
    return f"{number:,}".replace(",", "\u00a0")


def typeset(words: str) -> str:
    r"""Words as HTML, with indices and exponents such as g_k^{s_k} where print has them.

    Parameters
    ----------
    words : str

    Returns
    -------
    str
        Escaped.

    Examples
    --------
    >>> typeset("x_k < 1")
    'x<sub>k</sub> &lt; 1'
    """
    html = escape(words, quote=False)
    for sign, tag in (("_", "sub"), (r"\^", "sup")):  # indices first: exponents may hold them
        html = re.sub(sign + r"(?:\{([^{}]*)\}|([A-Za-z0-9]+))", rf"<{tag}>\1\2</{tag}>", html)
    return html
