"""A poster as a drawing: a city among its neighbors, the larger the dot the more people."""

from __future__ import annotations

from math import cos, radians, sqrt
from typing import Any

from .models import Poster

WIDTH, HEIGHT = 240, 260
SHEETS = [
    ("#e9eef2", "#1f3346", "#c2552d"),
    ("#f6ead7", "#5b3a1c", "#b4441c"),
    ("#e4ede6", "#1d3b2f", "#b5531f"),
    ("#f4e6e2", "#47202b", "#b0243c"),
    ("#e1eef0", "#14404a", "#c04a2b"),
    ("#f1edd9", "#3d3c14", "#a8461b"),
    ("#22303c", "#e6dfd0", "#f0a34a"),
]
"""Paper, ink and accent."""
DEGREES = 7
"""Of latitude, from the middle of the map to its upper edge."""


def drawing(poster: Poster) -> dict[str, Any]:
    """Return what the template `shop/poster.svg` draws."""
    paper, ink, accent = SHEETS[poster.geoname_id % len(SHEETS)]
    radius = dot_radius(poster)
    return {
        "poster": poster,
        "paper": paper,
        "ink": ink,
        "accent": accent,
        "dots": neighbors(poster),
        "radius": radius,
        "ring": radius + 4,
        "size": min(22, 300 // len(poster.city)),
        "coordinates": f"{degrees(poster.latitude, 'NS')}   {degrees(poster.longitude, 'EW')}",
    }


def neighbors(poster: Poster) -> list[dict[str, float]]:
    """Return the cities around a city as dots of a map that has it in the middle."""
    scale = HEIGHT / 2 / DEGREES
    narrowing = cos(radians(poster.latitude))
    reach = WIDTH / 2 / scale / narrowing
    near = Poster.objects.filter(
        run=poster.run_id,
        latitude__range=(poster.latitude - DEGREES, poster.latitude + DEGREES),
        longitude__range=(poster.longitude - reach, poster.longitude + reach),
    )
    return [
        {
            "x": round(WIDTH / 2 + (each.longitude - poster.longitude) * narrowing * scale, 1),
            "y": round(HEIGHT / 2 - (each.latitude - poster.latitude) * scale, 1),
            "r": dot_radius(each),
        }
        for each in near.exclude(pk=poster.pk)
    ]


def dot_radius(poster: Poster) -> float:
    return round(1 + sqrt(poster.population / 600_000), 1)


def degrees(value: float, letters: str) -> str:
    return f"{abs(value):.3f}° {letters[value < 0]}"
