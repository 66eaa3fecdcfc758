"""How far apart colours are: WCAG 2's contrast, and distance as colour-blind readers see it."""

import numpy as np

WEIGHTS = np.array([0.2126, 0.7152, 0.0722])
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], WEIGHTS, [0.0193, 0.1192, 0.9505]])
SIGHT = {
    "whole": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
         [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
         [-0.003882, -0.048116, 1.051998]]
    ),
}  # fmt: skip
"""What is left of a colour in linear RGB (Machado, Oliveira and Fernandes 2009, severity 1)."""


def rgb(colour):
    """Of a colour such as ``0b57a4`` or ``fff``, or of three numbers to 255."""
    if not isinstance(colour, str):
        return tuple(colour)
    colour = colour if len(colour) == 6 else "".join(2 * c for c in colour)
    return tuple(bytes.fromhex(colour))


def linear(colour):
    """Its three parts as light adds up."""
    parts = np.array(rgb(colour)) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """Their ratio by WCAG 2, 1 to 21."""
    dark, light = sorted(float(WEIGHTS @ linear(colour)) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def distance(one, other, sight="whole"):
    """How far apart they look, in CIE 1976's L*a*b*; 2 is the least that one sees."""
    labs = []
    for colour in (one, other):
        seen = np.clip(SIGHT[sight] @ linear(colour), 0, 1)
        x, y, z = np.cbrt(TO_XYZ @ seen / [0.9505, 1.0, 1.089])
        labs.append([116 * y - 16, 500 * (x - y), 200 * (y - z)])
    return float(np.linalg.norm(np.subtract(*labs)))
