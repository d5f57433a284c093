"""Orders of an imaginary shop: the same ones for the same day."""

import random
import sqlite3
from pathlib import Path

TOTALS = Path(__file__).parent.parent / "sql" / "totals.sql"


def orders_of(day: str, count: int = 50) -> list[dict]:
    """Return the orders of a day, such as "2026-11-22"."""
    dice = random.Random(day)
    return [
        {"day": day, "product": dice.choice(["anchor", "rope", "sail"]), "cents": dice.randint(500, 20_000)}
        for _ in range(count)
    ]


def totals(orders: list[dict]) -> list[tuple]:
    """Return what totals.sql says of the orders: product, number and sum."""
    with sqlite3.connect(":memory:") as db:
        db.execute("CREATE TABLE orders (day TEXT, product TEXT, cents INTEGER)")
        db.executemany("INSERT INTO orders VALUES (:day, :product, :cents)", orders)
        return db.execute(TOTALS.read_text(encoding="utf-8")).fetchall()
