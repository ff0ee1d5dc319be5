"""How a KPI is shown: numbers, periods, comparisons, states, sentences, pictures. Pure.

Pages, the API and digests share it, so that a figure says the same everywhere.
"""
