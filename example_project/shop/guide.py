"""What the shop's guide tells about a city: composed of what the shop knows, so it costs nothing and is never wrong."""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt

from django.db.models import Sum

from .models import Poster

EARTH_KM = 6371
NEIGHBOURS = 5


def distance_km(poster: Poster, other: Poster) -> float:
    """Return how far two cities are from each other, along the surface."""
    latitude, other_latitude = radians(poster.latitude), radians(other.latitude)
    across = sin((other_latitude - latitude) / 2) ** 2
    along = sin(radians(other.longitude - poster.longitude) / 2) ** 2
    return 2 * EARTH_KM * asin(sqrt(across + cos(latitude) * cos(other_latitude) * along))


def story_of(poster: Poster) -> str:
    """Return what there is to tell about a city and its map."""
    others = list(Poster.objects.filter(published=True).exclude(pk=poster.pk))
    return " ".join([*_place(poster, others), *_neighbours(poster, others), *_offer(poster)])


def _place(poster: Poster, others: list[Poster]) -> list[str]:
    north = "north" if poster.latitude >= 0 else "south"
    east = "east" if poster.longitude >= 0 else "west"
    larger = sum(other.population > poster.population for other in others)
    nearby = sum(other.continent == poster.continent for other in others)
    return [
        f"{poster.city} lies in {poster.get_continent_display()},"
        f" at {abs(poster.latitude):.1f} degrees {north} and {abs(poster.longitude):.1f} degrees {east}.",
        f"About {poster.population:,} people live there.",
        f"Of the {len(others) + 1:,} cities on our walls, {larger:,} are larger,",
        f"and {nearby:,} are on the same continent.",
    ]


def _neighbours(poster: Poster, others: list[Poster]) -> list[str]:
    if not others:
        return []
    by_distance = sorted(others, key=lambda other: distance_km(poster, other))
    near = [f"{other.city} ({distance_km(poster, other):,.0f} km)" for other in by_distance[:NEIGHBOURS]]
    farthest = by_distance[-1]
    return [
        f"Its nearest neighbours here are {', '.join(near)}.",
        f"Nobody on our walls is farther away than {farthest}, at {distance_km(poster, farthest):,.0f} km.",
        f"To hang both side by side costs {poster.price + farthest.price} €.",
    ]


def _offer(poster: Poster) -> list[str]:
    sold = poster.orders.aggregate(total=Sum("quantity"))["total"] or 0
    return [
        f"The map of {poster.city} alone is {poster.price} €;",
        f"{poster.stock} are in stock, and {sold} were ordered so far." if poster.stock else "it is sold out.",
    ]
