"""The theory beside data: each experiment is a function from a seed to a frozen result.

Nothing here prints or draws. `digits`: Theorem 1 on real soft labels; `diabetes`: Theorem 2 on real
patients; `synthetic`: the generator of GS 6.2.
"""
