"""Measures of maps and masks, pure functions of numpy arrays.

`localisation`: a map against a mask. `agreement`: maps against each other. `faithfulness`: a map
against the classifier it explains. Undefined is NaN everywhere.
"""
